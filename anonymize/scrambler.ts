import { alphabetOf } from './characters.js';
import { type KeyStream, keyStreams } from './keystream.js';
import type { Column, Prf } from './transformer.js';

/**
 * Replaces letters by letters of the same script and case and digits by digits, and keeps everything else, so length
 * and form stay. A value with at least one letter or digit never stays what it was.
 */
export function scrambler(prf: Prf, label: string): (values: Column) => (string | null)[] {
  const open = keyStreams(prf, label);
  return (values) => {
    const stream = open(values);
    const out = new Units(values);
    for (let row = 0; row < values.length; row++) {
      const value = values[row]!;
      if (value !== null) scrambleText(value, stream.row(row), out);
      out.ends[row] = out.length;
    }
    return out.cut(values);
  };
}

/** The UTF-16 units of a column, made into texts at once. No alphabet holds more units than what it stands for. */
class Units {
  readonly units: Uint16Array;
  /** By row: where its units end. */
  readonly ends: Uint32Array;
  length = 0;
  /** Every bit of every unit. */
  bits = 0;

  constructor(values: Column) {
    let size = 0;
    for (const value of values) size += value?.length ?? 0;
    this.units = new Uint16Array(size);
    this.ends = new Uint32Array(values.length);
  }

  cut(values: Column): (string | null)[] {
    const text = this.text();
    return values.map((value, row) =>
      value === null ? null : text.slice(row > 0 ? this.ends[row - 1]! : 0, this.ends[row]!),
    );
  }

  private text(): string {
    const { units } = this;
    if (this.bits < 0x100) return Buffer.from(units).toString('latin1');
    return Buffer.from(units.buffer as ArrayBuffer, units.byteOffset, units.length * 2).toString('utf16le');
  }
}

function scrambleText(value: string, stream: KeyStream, out: Units): void {
  const { units } = out;
  let first = -1;
  let changed = false;
  for (let at = 0; at < value.length; at++) {
    const codePoint = value.codePointAt(at)!;
    if (codePoint > 0xffff) at++;
    const alphabet = alphabetOf(codePoint);
    const next = alphabet ? alphabet[stream.below(alphabet.length)]! : codePoint;
    if (alphabet && first < 0) first = out.length;
    changed ||= next !== codePoint;
    out.bits |= next;
    out.length = write(units, out.length, next);
  }
  if (!changed && first >= 0) out.bits |= step(units, first);
}

/** Takes the next member of the alphabet for the character at an index, and returns it. */
function step(out: Uint16Array, at: number): number {
  const codePoint = String.fromCharCode(out[at]!, out[at + 1] ?? 0).codePointAt(0)!;
  const alphabet = alphabetOf(codePoint)!;
  const next = alphabet[(alphabet.indexOf(codePoint) + 1) % alphabet.length]!;
  write(out, at, next);
  return next;
}

function write(out: Uint16Array, at: number, codePoint: number): number {
  if (codePoint <= 0xffff) {
    out[at] = codePoint;
    return at + 1;
  }
  out[at] = 0xd800 + ((codePoint - 0x10000) >> 10);
  out[at + 1] = 0xdc00 + (codePoint & 0x3ff);
  return at + 2;
}
