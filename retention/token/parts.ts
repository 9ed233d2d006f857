/** Bytes that become one string, of which shorter ones are parts. */
const PART = 576;
/** Longest string that is a part of another one. */
const SHORT = 144;

/**
 * Makes strings of pieces of a buffer of ASCII. A string that is cut from another costs a tenth of one from bytes, but
 * keeps that other in memory: so those are small.
 */
export class Parts {
  private part = '';
  private from = 0;
  private to = 0;

  /** @param end Where the last piece ends. */
  constructor(
    private readonly bytes: Buffer,
    private readonly end: number,
  ) {}

  /** Fastest where each piece starts behind the one before. */
  text(start: number, end: number): string {
    if (end - start > SHORT) return this.bytes.toString('latin1', start, end);
    if (end > this.to || start < this.from) {
      this.from = start;
      this.to = Math.min(start + PART, this.end);
      this.part = this.bytes.toString('latin1', start, this.to);
    }
    return this.part.substring(start - this.from, end - this.from);
  }
}
