import type { Column } from '../../anonymize/transformer.js';
import { madeOf } from '../../crypto/cmac.js';
import { readText } from './values.js';

/** Longer texts are decoded one by one: for them a call costs little. */
const SHORT = 256;

/** Room for the first of them. */
const FIRST_TEXTS = 256;
const FIRST_BYTES = 4_096;

/**
 * Texts out of raw documents, decoded together: a call for each of them would cost more than what it reads.
 */
export class Texts {
  /** ASCII that waits to be decoded, and where the text of each value starts in it; then where the last one ends. */
  private bytes = Buffer.alloc(0);
  private offsets = new Uint32Array(1);
  private count = 0;
  /** Values that do not stand there. */
  private readonly others = new Map<number, string | null>();

  /**
   * Takes in UTF-8; returns the text's number.
   *
   * @throws BsonMistake for anything else.
   */
  add(from: Buffer, start: number, end: number): number {
    const used = this.offsets[this.count]!;
    if (this.takeAscii(from, start, end, used)) return this.next(used + end - start);
    this.others.set(this.count, readText(from, start, end));
    return this.next(used);
  }

  addNull(): void {
    this.others.set(this.count, null);
    this.next(this.offsets[this.count]!);
  }

  removeLast(): void {
    this.count--;
    this.others.delete(this.count);
  }

  /** All of them. */
  decode(): Column {
    const { bytes, offsets, count, others } = this;
    const used = offsets[count]!;
    const text = bytes.toString('latin1', 0, used);
    const values: (string | null)[] = [];
    for (let i = 0; i < count; i++) values.push(text.slice(offsets[i]!, offsets[i + 1]!));
    if (others.size === 0)
      return madeOf({ bytes: bytes.subarray(0, used), offsets: offsets.subarray(0, count + 1) }, values);
    for (const [i, value] of others) values[i] = value;
    return values;
  }

  /** Ends a value; returns its number. */
  private next(end: number): number {
    const at = this.count++;
    if (this.count === this.offsets.length) {
      const more = new Uint32Array(Math.max(FIRST_TEXTS, this.count * 2));
      more.set(this.offsets);
      this.offsets = more;
    }
    this.offsets[this.count] = end;
    return at;
  }

  /** False for what is long, or not ASCII. */
  private takeAscii(from: Buffer, start: number, end: number, used: number): boolean {
    const length = end - start;
    if (length > SHORT) return false;
    if (used + length > this.bytes.length) this.grow();
    const { bytes } = this;
    let seen = 0;
    for (let i = start, to = used; i < end; i++, to++) {
      const byte = from[i]!;
      bytes[to] = byte;
      seen |= byte;
    }
    return seen < 0x80;
  }

  private grow(): void {
    const more = Buffer.allocUnsafe(Math.max(FIRST_BYTES, this.bytes.length * 2));
    more.set(this.bytes);
    this.bytes = more;
  }
}
