/** Places that each hash marks. */
const MARKS = 4;

/**
 * A set of 64-bit hashes of a fixed size, which answers "no" for sure and "yes" almost: a Bloom filter. Of n hashes in
 * b bits, one in (1 - e^(-4n/b))^4 that are not there is taken to be: with 32 bits a hash, one in 5,000.
 */
export class HashSet {
  private readonly bits: Uint32Array;
  private readonly mask: number;
  /** Hashes added that were not there yet. */
  size = 0;

  /** @param expected How many it will hold, about. @param mostBytes Largest size, a power of two. */
  constructor(expected: number, mostBytes: number) {
    const wanted = 2 ** Math.ceil(Math.log2(Math.max(1024, expected * 32)));
    const bits = Math.min(wanted, mostBytes * 8);
    this.bits = new Uint32Array(bits / 32);
    this.mask = bits - 1;
  }

  get bytes(): number {
    return this.bits.byteLength;
  }

  add(low: number, high: number): void {
    let fresh = false;
    let at = low;
    for (let mark = 0; mark < MARKS; mark++) {
      const bit = at & this.mask;
      const word = this.bits[bit >>> 5]!;
      const flag = 1 << (bit & 31);
      if ((word & flag) === 0) {
        fresh = true;
        this.bits[bit >>> 5] = word | flag;
      }
      at = (at + high + mark) | 0;
    }
    if (fresh) this.size++;
  }

  has(low: number, high: number): boolean {
    let at = low;
    for (let mark = 0; mark < MARKS; mark++) {
      const bit = at & this.mask;
      if ((this.bits[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
      at = (at + high + mark) | 0;
    }
    return true;
  }
}
