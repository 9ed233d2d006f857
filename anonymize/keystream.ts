import { aes, BLOCK, type BlockCipher, words } from '../crypto/aes.js';
import type { Column, Prf } from './transformer.js';

/** Blocks made for a value at a time: longer values are refilled, so that a huge text costs no huge buffer. */
const WINDOW = 512;
const PER_BLOCK = BLOCK / 2;

/**
 * Keyed pseudo-random numbers for each value of a column, as many as the value needs: AES-256 in counter mode (NIST SP
 * 800-38A) that starts at the value's PRF output. Equal values get equal numbers.
 */
export class KeyStream {
  private readonly seeds: Uint32Array;
  /** First block of each row in `first`; one more than there are rows. */
  private readonly starts: Uint32Array;
  private readonly first: Uint16Array;
  private current: Uint16Array;
  private at = 0;
  private end = 0;
  private block = 0;
  private seed = 0;

  constructor(
    private readonly encrypt: BlockCipher,
    seeds: Uint8Array,
    lengths: ArrayLike<number>,
  ) {
    this.seeds = words(seeds);
    this.starts = new Uint32Array(lengths.length + 1);
    for (let row = 0; row < lengths.length; row++) {
      this.starts[row + 1] = this.starts[row]! + Math.min(WINDOW, Math.ceil(lengths[row]! / PER_BLOCK));
    }
    const counters = new Uint32Array((this.starts[lengths.length]! * BLOCK) / 4);
    for (let row = 0, at = 0; row < lengths.length; row++) {
      const count = this.starts[row + 1]! - this.starts[row]!;
      for (let block = 0; block < count; block++, at += 4) this.counter(counters, at, row, block);
    }
    this.first = this.numbers(counters);
    this.current = this.first;
  }

  /** Starts the numbers of a row from its beginning. */
  row(row: number): this {
    const start = this.starts[row]!;
    const end = this.starts[row + 1]!;
    this.current = this.first;
    this.at = start * PER_BLOCK;
    this.end = end * PER_BLOCK;
    this.block = end - start;
    this.seed = row;
    return this;
  }

  /** The row's next number in [0, n), n ≤ 65,536; biased by at most n / 65,536. */
  below(n: number): number {
    if (this.at === this.end) this.refill();
    return (this.current[this.at++]! * n) >>> 16;
  }

  private refill(): void {
    const counters = new Uint32Array((WINDOW * BLOCK) / 4);
    for (let block = 0; block < WINDOW; block++) {
      this.counter(counters, block * 4, this.seed, this.block + block);
    }
    this.current = this.numbers(counters);
    this.block += WINDOW;
    this.at = 0;
    this.end = this.current.length;
  }

  private counter(to: Uint32Array, at: number, row: number, block: number): void {
    for (let word = 0; word < 4; word++) to[at + word] = this.seeds[row * 4 + word]!;
    to[at + 3]! ^= block;
  }

  private numbers(counters: Uint32Array): Uint16Array {
    const pairs = words(this.encrypt(new Uint8Array(counters.buffer)));
    return new Uint16Array(pairs.buffer, pairs.byteOffset, pairs.length * 2);
  }
}

/**
 * Opens key streams over columns.
 *
 * @param label Separates this use of the key from others.
 * @returns A function from a column, and how many numbers each row will want (a hint), to its stream.
 */
export function keyStreams(
  prf: Prf,
  label: string,
): (values: Column, lengths?: ArrayLike<number>) => KeyStream {
  const encrypt = aes(prf.subKey(`${label}/stream`));
  return (values, lengths = values.map((value) => value?.length ?? 0)) =>
    new KeyStream(encrypt, prf.bytes(label, values), lengths);
}
