import { z } from 'zod';
import { words } from '../crypto/aes.js';
import { canonicalColumn, fold } from './canonical.js';
import { characters } from './characters.js';
import type { ColumnTransform, ColumnType, CompileContext, Proof } from './transformer.js';
import { valueList } from './value-lists.js';

/** Lanes of fresh numbers for values that drew themselves, before the draws go on to the next entry instead. */
const LANES = 3;
const ATTEMPTS = 12;

/** 128 keyed bits of a value, as numbers to choose by. Equal values draw equal numbers. */
export class Draw {
  private base = 0;
  private next = 0;
  /** By how many pairs each has: the tags of all rows. */
  private readonly tags = new Map<number, string>();

  constructor(
    private readonly numbers: Uint32Array,
    /** 0, or how many entries further to go: the last resort against drawing the input. */
    readonly step: number,
  ) {}

  /** Starts the draws of a row. */
  row(row: number): this {
    this.base = row * 4;
    this.next = 0;
    return this;
  }

  /** A number in [0, n): up to four independent ones a row. The bias is at most n / 2^32. */
  below(n: number): number {
    return ((this.numbers[this.base + (this.next++ & 3)]! % n) + this.step) % n;
  }

  /** An entry of a list. */
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Word 0 … 3 of the 128 bits. */
  word(index: number): number {
    return this.numbers[this.base + index]!;
  }

  /** `2 · pairs` letters and digits made of 10 · pairs bits: the first nine pairs from words 1 to 3. At most 12 pairs. */
  tag(pairs: number): string {
    let tags = this.tags.get(pairs);
    if (tags === undefined) {
      tags = this.tagsOf(pairs);
      this.tags.set(pairs, tags);
    }
    const start = (this.base / 4) * 2 * pairs;
    return tags.slice(start, start + 2 * pairs);
  }

  /** The tags of all rows: a cut costs less than putting letters together. */
  private tagsOf(pairs: number): string {
    const { numbers, step } = this;
    const letters = Buffer.allocUnsafe((numbers.length / 4) * 2 * pairs);
    for (let base = 0, at = 0; base < numbers.length; base += 4) {
      for (let pair = 0, word = 1; pair < pairs; word = (word + 1) & 3) {
        let bits = numbers[base + word]!;
        for (const end = Math.min(pair + 3, pairs); pair < end; pair++, bits >>>= 10) {
          const two = bits + step;
          letters[at++] = LETTERS[(two >>> 5) & 31]!;
          letters[at++] = LETTERS[two & 31]!;
        }
      }
    }
    return letters.toString('latin1');
  }
}

/** 32 characters that are not mistaken for each other; lower case, so that caseless columns lose no bit. */
const LETTERS = Buffer.from('abcdefghijkmnpqrstuvwxyz23456789');

/**
 * The column transform of a transformer that makes up a text for each value. NULL and the empty text stay. A text that
 * came out as its own input (case aside) is drawn again, at last from the next entries.
 *
 * @param label Separates this use of the key: the transformer's name.
 * @param make Makes a text from a row's draws and its value, as the column's equality sees it.
 */
export function generator(
  { prf, type }: Pick<CompileContext<unknown>, 'prf' | 'type'>,
  label: string,
  make: (draw: Draw, value: string) => string,
): ColumnTransform {
  return (values, chunk) => {
    const inputs = canonicalColumn(values, type.equality);
    const out: (string | null)[] = new Array(inputs.length).fill(null);
    let rows: number[] | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const part = rows ? rows.map((row) => inputs[row]!) : inputs;
      const lane = Math.min(attempt, LANES - 1);
      const draw = new Draw(words(prf.bytes(`${label}/${lane}`, part)), attempt - lane);
      const again: number[] = [];
      for (let i = 0; i < part.length; i++) {
        const value = part[i]!;
        const row = rows ? rows[i]! : i;
        out[row] = value === null || value === '' ? value : make(draw.row(i), value);
        if (value && same(out[row]!, value)) again.push(row);
      }
      if (again.length === 0) return out;
      rows = again;
    }
    for (const row of rows!) {
      out[row] = null;
      chunk.fail(row, 'nothing but the value itself fits the column');
    }
    return out;
  };
}

function same(made: string, value: string): boolean {
  return made === value || (made.length === value.length && fold(made) === fold(value));
}

/** The option of transformers that draw from value lists. */
export const listVersion = z
  .int()
  .min(1)
  .max(1)
  .default(1)
  .describe('Version of the value lists. A newer one gives other outputs.');

/** Entries of a value list that the column has room for. */
export function fitting(list: string, type: ColumnType, room = type.maxLength): readonly string[] {
  const entries = valueList(list);
  return room === undefined ? entries : entries.filter((entry) => characters(entry) <= room);
}

/** What `accepts` says of text columns with room for `least` characters. */
export function acceptsText(type: ColumnType, least: number): true | string {
  if (type.kind !== 'text') return 'it makes texts; choose a transformer for this type';
  const { maxLength } = type;
  return (
    maxLength === undefined ||
    maxLength >= least ||
    `it needs room for ${least} characters, the column has ${maxLength}`
  );
}

/** The proof of a made-up text. */
export function madeUp(wide: boolean): Proof {
  return { unique: wide ? 'wide' : 'no', mayEqualInput: false, keepsNull: true, total: true };
}

/** Whether a text of that many characters fits. */
export function fits(type: ColumnType, length: number): boolean {
  return type.maxLength === undefined || type.maxLength >= length;
}
