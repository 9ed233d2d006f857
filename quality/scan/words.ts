/** Two keyed 32-bit numbers that every hash starts from: without the job's key nobody can tell what was hashed. */
export interface Seeds {
  readonly low: number;
  readonly high: number;
}

/** 16 bytes of a keyed function. */
export function seedsOf(bytes: Uint8Array): Seeds {
  const view = Buffer.from(bytes);
  return { low: view.readInt32LE(0), high: view.readInt32LE(4) };
}

/** Characters of a text of the destination that are searched; longer values of the source are not searched for. */
export const MOST_CHARACTERS = 1 << 18;

const LOW_PRIME = 0x01000193;
const HIGH_PRIME = 0x85ebca6b;
/** Bits that say what a word has. */
export const DIGIT = 1;
export const LETTER = 2;

/**
 * Splits texts into words, runs of letters and digits in lower case, and hashes each: 64 bits, keyed. What stands
 * between words does not count, so `Mary SMITH`, `mary.smith` and `Mary\nSmith` are one. One object takes text after
 * text, so that nothing is made for each word.
 */
export class Words {
  /** Words of the present text. */
  count = 0;
  text = '';
  low = new Int32Array(256);
  high = new Int32Array(256);
  start = new Int32Array(256);
  end = new Int32Array(256);
  kind = new Uint8Array(256);

  constructor(private readonly seeds: Seeds) {}

  split(text: string): void {
    const lower = text.toLowerCase();
    this.text = lower;
    this.count = 0;
    const { length } = lower;
    let at = 0;
    while (at < length) {
      while (at < length && wordKind(lower.charCodeAt(at)) === 0) at++;
      if (at === length) return;
      if (this.count === this.low.length) this.grow();
      const { count } = this;
      let { low, high } = this.seeds;
      let kinds = 0;
      this.start[count] = at;
      for (; at < length; at++) {
        const code = lower.charCodeAt(at);
        const kind = wordKind(code);
        if (kind === 0) break;
        kinds |= kind;
        low = Math.imul(low ^ code, LOW_PRIME);
        high = Math.imul(high ^ code, HIGH_PRIME);
      }
      this.end[count] = at;
      this.kind[count] = kinds;
      this.low[count] = scatter(low);
      this.high[count] = scatter(high);
      this.count = count + 1;
    }
  }

  /** Letters and digits of a word. */
  width(word: number): number {
    return this.end[word]! - this.start[word]!;
  }

  /** Some words beside each other, with one blank between them, or with nothing. */
  join(from: number, count: number, between: '' | ' '): string {
    const parts: string[] = [];
    for (let word = from; word < from + count; word++)
      parts.push(this.text.slice(this.start[word], this.end[word]));
    return parts.join(between);
  }

  /** The hash of the word that some words make without what separates them. */
  hashJoined(from: number, count: number): Seeds {
    let { low, high } = this.seeds;
    for (let word = from; word < from + count; word++) {
      for (let at = this.start[word]!; at < this.end[word]!; at++) {
        const code = this.text.charCodeAt(at);
        low = Math.imul(low ^ code, LOW_PRIME);
        high = Math.imul(high ^ code, HIGH_PRIME);
      }
    }
    return { low: scatter(low), high: scatter(high) };
  }

  private grow(): void {
    const wider = this.low.length * 4;
    const copy = <T extends Int32Array | Uint8Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.low = copy(this.low, new Int32Array(wider));
    this.high = copy(this.high, new Int32Array(wider));
    this.start = copy(this.start, new Int32Array(wider));
    this.end = copy(this.end, new Int32Array(wider));
    this.kind = copy(this.kind, new Uint8Array(wider));
  }
}

/** The hash of words in a row goes on from that of all but the last. */
export function chain(before: number, word: number): number {
  return scatter(Math.imul(before, 0x9e3779b1) ^ word);
}

/** Mixes the bits: the last step of MurmurHash3. */
function scatter(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** By ASCII code of a lower-case text. */
const KINDS = new Uint8Array(128);
for (let code = 0x30; code <= 0x39; code++) KINDS[code] = DIGIT;
for (let code = 0x61; code <= 0x7a; code++) KINDS[code] = LETTER;

/** Letters of all scripts; what Unicode calls general punctuation, and the signs of Latin-1, separate. */
function wordKind(code: number): number {
  if (code < 128) return KINDS[code]!;
  if (code < 0xc0 || code === 0xd7 || code === 0xf7) return 0;
  if ((code >= 0x2000 && code < 0x2070) || (code >= 0x3000 && code < 0x3005) || code === 0xfeff) return 0;
  return LETTER;
}
