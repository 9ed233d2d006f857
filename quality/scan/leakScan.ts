import type { JobKeys } from '../../anonymize/keys.js';
import { Cmac, packText } from '../../crypto/cmac.js';
import type { Plan } from '../../plan/plan.js';
import { bitsOf, type Draws, Shapes } from './chance.js';
import { HashSet } from './filter.js';
import { type Form, Identifying, MOST_WORDS, type RowValues } from './identifying.js';
import { chain, DIGIT, seedsOf, Words } from './words.js';

/** Largest size of a set of hashes; three are kept. */
const MOST_BYTES = 1 << 26;
/** Values under suspicion that are told apart; of further ones only the hits are counted. */
const MOST_SUSPECTS = 20_000;
/** Characters of a number that is written in groups. */
const MOST_GROUPED = 34;
const TAG_BYTES = 16;

export interface LeakScanOptions {
  readonly plan: Pick<Plan, 'tables' | 'versions'>;
  readonly keys: JobKeys;
  /** Rows of the source that will be taken, about. */
  readonly rows: number;
  /** A value identifies when a column of the source has it in at most so many rows. */
  readonly rare: number;
  /** Letters and digits. */
  readonly minLength: number;
}

/** A value of the source that was seen in the destination. The value itself is not kept: its tag is the key to it. */
interface Suspect {
  /** Of how many such values it is one: see `bitsOf`. */
  readonly bits: number;
  /** By place in the destination. */
  readonly hits: Map<string, number>;
  /** Rows of the source that had it and lost it, by column. */
  readonly sources: Map<string, number>;
  /** Some kept column has it. */
  kept: boolean;
}

/** Leaked values of one column of the source in one of the destination. */
export interface Leak {
  /** `schema.table.column` of the source, and of the destination. */
  readonly from: string;
  readonly to: string;
  readonly hits: number;
}

export interface LeakScanResult {
  readonly leaks: readonly Leak[];
  /** Hits of values that transformers may make by chance, and how many chance alone would give. */
  readonly chance: { readonly observed: number; readonly expected: number };
  /** Rows and values that were looked for and at. */
  readonly searched: { readonly values: number; readonly texts: number };
  /** More was found than can be told apart: counts are at least so high. */
  readonly overflow: boolean;
}

/**
 * Looks for identifying values of the source in the texts of the destination, in three passes:
 *
 *   1. `learn`: values of the source that were changed, as 64-bit keyed hashes in a set of fixed size
 *   2. `look`: the destination's texts, word by word; what the set seems to have becomes a suspect, by its AES-CMAC tag
 *   3. `confirm`: only with suspects: the source once more, whole; counts who has a suspect, and whether it was kept
 *
 * Memory: three sets of at most 64 MiB each (32 bits a value until then) and 20,000 suspects, whatever is searched.
 */
export class LeakScan {
  private readonly words: Words;
  private readonly identifying: Identifying;
  private readonly wanted: HashSet;
  /** Of `wanted`, those that may come out by chance. */
  private readonly drawn: HashSet;
  /** Of each value's first word. */
  private readonly heads: HashSet;
  private readonly tags: Cmac;
  private readonly suspects = new Map<string, Suspect>();
  /** Hashes of suspects, for the third pass. */
  private readonly suspected: HashSet;
  private readonly expected = { rate: 0, texts: 0 };
  private readonly shapes = new Shapes();
  private lengths = 0;
  private grouped = false;
  private observed = 0;
  private texts = 0;
  private overflow = false;
  private waiting: { text: string; place: string }[] = [];

  constructor(private readonly options: LeakScanOptions) {
    const shared = options.keys.domain('');
    this.words = new Words(seedsOf(shared.subKey('leak scan/words')));
    this.tags = new Cmac(shared.subKey('leak scan/tags'));
    this.identifying = new Identifying(options.plan, options.minLength, new Words({ low: 1, high: 1 }));
    const values = options.rows * 4;
    this.wanted = new HashSet(values, MOST_BYTES);
    this.drawn = new HashSet(values, MOST_BYTES);
    this.heads = new HashSet(values, MOST_BYTES);
    this.suspected = new HashSet(MOST_SUSPECTS, MOST_BYTES);
  }

  /** First pass: values of one row of the source that the destination must not have. */
  learn(row: RowValues): void {
    for (const { text, drawn, space } of this.identifying.forms(row)) {
      const { low, high } = this.hash(text);
      const before = this.wanted.size;
      this.wanted.add(low, high);
      this.heads.add(this.words.low[0]!, this.words.high[0]!);
      this.lengths |= 1 << this.words.count;
      if (this.words.count === 1 && this.words.kind[0]! & DIGIT) this.grouped = true;
      if (this.wanted.size === before) continue;
      this.shapes.want(text);
      if (!drawn) continue;
      this.drawn.add(low, high);
      this.expected.rate += 1 / space;
    }
  }

  /** Second pass: a text of the destination. `place` is `schema.table.column`. */
  look(text: string, place: string, { words, shapes }: Draws): void {
    this.texts++;
    if (words) this.expected.texts++;
    let end = 0;
    this.scan(text, (low, high, from, count, between) => {
      // A name inside of an address is no second leak.
      if (from + count <= end) return;
      end = from + count;
      // Where nothing is drawn from lists, nothing comes out by chance.
      if (words && this.drawn.has(low, high)) this.observed++;
      else this.waiting.push({ text: this.words.join(from, count, between), place });
    });
    if (shapes) this.shapes.look(place, this.words.count);
    if (this.waiting.length > 1000) this.settle();
  }

  /** Ends the second pass; false: nothing is suspected, and the third is not needed. */
  settle(): boolean {
    const tags = this.tagsOf(this.waiting.map(({ text }) => text));
    for (const [i, { text, place }] of this.waiting.entries()) {
      let suspect = this.suspects.get(tags[i]!);
      if (!suspect) {
        if (this.suspects.size === MOST_SUSPECTS) {
          this.overflow = true;
          continue;
        }
        suspect = { bits: bitsOf(text), hits: new Map(), sources: new Map(), kept: false };
        this.suspects.set(tags[i]!, suspect);
        const { low, high } = this.hash(text);
        this.suspected.add(low, high);
        this.lengths |= 1 << this.words.count;
      }
      suspect.hits.set(place, (suspect.hits.get(place) ?? 0) + 1);
    }
    this.waiting = [];
    return this.suspects.size > 0;
  }

  /** Third pass: one changed value, or the names, of one row of the source. `column` is `schema.table.column`. */
  confirm(row: RowValues, column: string): void {
    const seen = this.identifying.forms(row).filter(({ text }) => this.isSuspected(text));
    const tags = this.tagsOf(seen.map(({ text }: Form) => text));
    for (const suspect of new Set(tags.map((tag) => this.suspects.get(tag)))) {
      suspect?.sources.set(column, (suspect.sources.get(column) ?? 0) + 1);
    }
  }

  /** Third pass: a text of the source that the destination may have. */
  confirmKept(text: string): void {
    const found: string[] = [];
    this.scan(
      text,
      (_low, _high, from, count, between) => void found.push(this.words.join(from, count, between)),
      this.suspected,
      true,
    );
    for (const tag of this.tagsOf(found)) {
      const suspect = this.suspects.get(tag);
      if (suspect) suspect.kept = true;
    }
  }

  result(): LeakScanResult {
    const leaks = new Map<string, Leak>();
    const found: { suspect: Suspect; from: string }[] = [];
    for (const suspect of this.suspects.values()) {
      const [rarest] = [...suspect.sources].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
      // Without a source it was another value with the same hash.
      if (suspect.kept || !rarest || rarest[1] > this.options.rare) continue;
      found.push({ suspect, from: rarest[0] });
      for (const [to, count] of suspect.hits) this.shapes.hit(to, suspect.bits, count);
    }
    for (const { suspect, from } of found) {
      for (const [to, count] of suspect.hits) {
        if (this.shapes.mayBeChance(to, suspect.bits)) continue;
        const id = `${from}\t${to}`;
        leaks.set(id, { from, to, hits: (leaks.get(id)?.hits ?? 0) + count });
      }
    }
    const byShape = this.shapes.chance();
    return {
      leaks: [...leaks.values()].sort((a, b) => b.hits - a.hits || (a.to < b.to ? -1 : 1)),
      chance: {
        observed: this.observed + byShape.observed,
        expected: this.expected.texts * this.expected.rate + byShape.expected,
      },
      searched: { values: this.wanted.size, texts: this.texts },
      overflow: this.overflow,
    };
  }

  private hash(text: string): { low: number; high: number } {
    const { words } = this;
    words.split(text);
    let low = words.low[0]!;
    let high = words.high[0]!;
    for (let word = 1; word < words.count; word++) {
      low = chain(low, words.low[word]!);
      high = chain(high, words.high[word]!);
    }
    return { low, high };
  }

  private isSuspected(text: string): boolean {
    const { low, high } = this.hash(text);
    return this.suspected.has(low, high);
  }

  /**
   * Runs of words of a text that a set seems to have, from each word on the longest or `every` one; numbers in groups
   * also as one.
   */
  private scan(
    text: string,
    found: (low: number, high: number, from: number, count: number, between: '' | ' ') => void,
    set = this.wanted,
    every = false,
  ): void {
    const { words, lengths } = this;
    words.split(text);
    const total = words.count;
    for (let from = 0; from < total; from++) {
      let low = words.low[from]!;
      let high = words.high[from]!;
      if (this.heads.has(low, high)) {
        const most = Math.min(MOST_WORDS, total - from);
        let longest = 0;
        let [foundLow, foundHigh] = [low, high];
        for (let count = 1; ; count++) {
          if ((lengths >> count) & 1 && set.has(low, high)) {
            longest = count;
            foundLow = low;
            foundHigh = high;
            if (every) found(low, high, from, count, ' ');
          }
          if (count >= most) break;
          low = chain(low, words.low[from + count]!);
          high = chain(high, words.high[from + count]!);
        }
        if (!every && longest > 0) found(foundLow, foundHigh, from, longest, ' ');
      }
      if (this.grouped && words.kind[from]! & DIGIT) this.scanGrouped(from, found, set);
    }
  }

  private scanGrouped(
    from: number,
    found: (low: number, high: number, from: number, count: number, between: '' | ' ') => void,
    set: HashSet,
  ): void {
    const { words } = this;
    let width = words.width(from);
    for (let count = 2; count <= MOST_WORDS && from + count <= words.count; count++) {
      const last = from + count - 1;
      if ((words.kind[last]! & DIGIT) === 0) return;
      width += words.width(last);
      if (width > MOST_GROUPED) return;
      const { low, high } = words.hashJoined(from, count);
      if (set.has(low, high)) found(low, high, from, count, '');
    }
  }

  /** Hexadecimal, one a text. */
  private tagsOf(texts: readonly string[]): string[] {
    if (texts.length === 0) return [];
    const bytes = Buffer.from(this.tags.tags(packText(texts)));
    return texts.map((_, i) => bytes.toString('hex', i * TAG_BYTES, (i + 1) * TAG_BYTES));
  }
}
