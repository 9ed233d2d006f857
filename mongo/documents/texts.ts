import { readText } from './values.js';

/** Longer texts are decoded one by one: for them a call costs little. */
const SHORT = 256;

/**
 * Texts out of raw documents, decoded together: a call for each of them would cost more than what it reads.
 */
export class Texts {
  private values: (string | null | undefined)[] = [];
  /** ASCII that waits to be decoded, and where the text of each value starts in it. */
  private bytes = Buffer.allocUnsafe(1_024);
  private starts: number[] = [];
  private used = 0;

  /**
   * Takes in UTF-8; returns the text's number.
   *
   * @throws BsonMistake for anything else.
   */
  add(from: Buffer, start: number, end: number): number {
    const { used } = this;
    const text = this.takeAscii(from, start, end) ? undefined : readText(from, start, end);
    this.starts.push(used);
    return this.values.push(text) - 1;
  }

  addNull(): void {
    this.starts.push(this.used);
    this.values.push(null);
  }

  removeLast(): void {
    this.values.pop();
    this.used = this.starts.pop()!;
  }

  /** All of them. */
  decode(): (string | null)[] {
    const { values, starts, used } = this;
    const text = this.bytes.toString('latin1', 0, used);
    for (let i = 0; i < values.length; i++) {
      if (values[i] === undefined) values[i] = text.slice(starts[i]!, starts[i + 1] ?? used);
    }
    return values as (string | null)[];
  }

  /** False for what is long, or not ASCII. */
  private takeAscii(from: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length > SHORT) return false;
    if (this.used + length > this.bytes.length) this.grow();
    const { bytes, used } = this;
    let seen = 0;
    for (let i = start, to = used; i < end; i++, to++) {
      const byte = from[i]!;
      bytes[to] = byte;
      seen |= byte;
    }
    if (seen >= 0x80) return false;
    this.used = used + length;
    return true;
  }

  private grow(): void {
    const more = Buffer.allocUnsafe(this.bytes.length * 2);
    more.set(this.bytes);
    this.bytes = more;
  }
}
