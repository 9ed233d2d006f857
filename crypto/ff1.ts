import { aes, BLOCK, type BlockCipher, bytesOf, swap, words } from './aes.js';

const ROUNDS = 10;
/** Up to this modulus a Horner step by 16 bits stays below 2^53. */
const SMALL = 2 ** 37;

/**
 * FF1 format-preserving encryption (NIST SP 800-38G) over a column, round by round: each round encrypts the blocks of
 * all values in one call. A permutation of the texts of one length over one alphabet.
 */
export class Ff1 {
  private readonly encrypt: BlockCipher;

  /**
   * @param key 16, 24 or 32 bytes.
   * @param tweak Public; another tweak is another permutation. Default empty.
   */
  constructor(
    key: Uint8Array,
    private readonly tweak: Uint8Array = new Uint8Array(0),
  ) {
    this.encrypt = aes(key);
  }

  /**
   * Encrypts texts of `length` digits in place; digit j of text i is `digits[i * length + j]`, below `radix`.
   *
   * @param radix 2 … 65535.
   * @param length Such that radix^length ≥ 100, the least that FF1 allows; throws `RangeError` below.
   */
  digits(radix: number, length: number, digits: Uint16Array | Uint8Array): void {
    check(radix, length);
    const half = length >>> 1;
    if (radix ** (length - half) <= SMALL) this.smallDigits(radix, length, digits);
    else this.bigDigits(radix, length, digits);
  }

  /**
   * Encrypts binary numbers of `bits` bits in place, radix 2. Each is given as its upper ⌊bits/2⌋ and its lower
   * ⌈bits/2⌉ bits.
   *
   * @param bits 7 … 64.
   */
  bits(bits: number, upper: Uint32Array, lower: Uint32Array): void {
    check(2, bits);
    if (bits > 64) throw new RangeError(`FF1 over ${bits} bits needs wideBits`);
    const count = upper.length;
    const u = bits >>> 1;
    const v = bits - u;
    const bytes = Math.ceil(v / 8);
    const prefix = this.prefix(2, u, bits, bytes);
    const blocks = prefixed(prefix, count);
    const p2 = prefix[2]!;
    const p3 = prefix[3]!;
    let a = upper;
    let b = lower;
    for (let round = 0; round < ROUNDS; round++) {
      const width = round % 2 === 0 ? u : v;
      const mask = width === 32 ? 0xffffffff : 2 ** width - 1;
      const inner = bytes < 4 ? round << (bytes * 8) : 0;
      const outer = bytes < 4 ? p2 : p2 ^ swap(round);
      for (let i = 0; i < count; i++) {
        blocks[4 * i + 2] = outer;
        blocks[4 * i + 3] = p3 ^ swap(inner | b[i]!);
      }
      const out = words(this.encrypt(bytesOf(blocks)));
      for (let i = 0; i < count; i++) a[i] = ((a[i]! + swap(out[4 * i + 1]!)) & mask) >>> 0;
      [a, b] = [b, a];
    }
  }

  /**
   * The same for up to 128 bits: each half of up to 64 bits is two words, high and low.
   *
   * @param bits 66 … 128.
   */
  wideBits(bits: number, upper: Halves, lower: Halves): void {
    if (bits < 66 || bits > 128) throw new RangeError(`wideBits takes 66 to 128 bits, not ${bits}`);
    const count = upper.high.length;
    const u = bits >>> 1;
    const bytes = Math.ceil((bits - u) / 8);
    const prefix = this.prefix(2, u, bits, bytes);
    const blocks = prefixed(prefix, count);
    let a = upper;
    let b = lower;
    for (let round = 0; round < ROUNDS; round++) {
      const width = round % 2 === 0 ? u : bits - u;
      const mask = width === 64 ? 0xffffffff : 2 ** (width - 32) - 1;
      const inner = bytes < 8 ? round * 2 ** ((bytes - 4) * 8) : 0;
      const p1 = bytes < 8 ? prefix[1]! : prefix[1]! ^ swap(round);
      for (let i = 0; i < count; i++) {
        blocks[4 * i + 1] = p1;
        blocks[4 * i + 2] = prefix[2]! ^ swap((inner | b.high[i]!) >>> 0);
        blocks[4 * i + 3] = prefix[3]! ^ swap(b.low[i]!);
      }
      const out = words(this.encrypt(bytesOf(blocks)));
      for (let i = 0; i < count; i++) {
        const low = a.low[i]! + swap(out[4 * i + 2]!);
        const carry = low > 0xffffffff ? 1 : 0;
        a.low[i] = low >>> 0;
        a.high[i] = ((a.high[i]! + swap(out[4 * i + 1]!) + carry) & mask) >>> 0;
      }
      [a, b] = [b, a];
    }
  }

  /** Halves below 2^37: everything in doubles. */
  private smallDigits(radix: number, length: number, digits: Uint16Array | Uint8Array): void {
    const count = digits.length / length;
    const u = length >>> 1;
    const v = length - u;
    const bytes = numeralBytes(radix, v);
    const prefix = this.prefix(radix, u, length, bytes);
    const blocks = prefixed(prefix, count);
    const seeds = bytesOf(prefix);
    const packed = bytesOf(blocks);
    let a = numerals(radix, digits, length, 0, u);
    let b = numerals(radix, digits, length, u, v);
    const outputBytes = 4 * Math.ceil(bytes / 4) + 4;
    for (let round = 0; round < ROUNDS; round++) {
      const modulus = radix ** (round % 2 === 0 ? u : v);
      const inverse = 1 / modulus;
      for (let i = 0; i < count; i++) {
        const low = b[i]! >>> 0;
        const fifth = (b[i]! - low) / 2 ** 32;
        const end = (i + 1) * BLOCK;
        for (let k = 1; k <= bytes; k++) {
          packed[end - k] = seeds[BLOCK - k]! ^ (k < 5 ? low >>> (8 * k - 8) : fifth);
        }
        packed[end - bytes - 1] = seeds[BLOCK - bytes - 1]! ^ round;
      }
      const out = this.encrypt(packed);
      for (let i = 0; i < count; i++) {
        let y = 0;
        for (let k = i * BLOCK, end = k + outputBytes; k < end; k += 2) {
          // The quotient by the inverse may be off by one at a multiple; the last step below sets that right.
          y = y * 65536 + (out[k]! << 8) + out[k + 1]!;
          y -= Math.floor(y * inverse) * modulus;
        }
        const sum = a[i]! + y;
        a[i] = sum < 0 ? sum + modulus : sum - Math.floor(sum / modulus) * modulus;
      }
      [a, b] = [b, a];
    }
    spell(radix, a, digits, length, 0, u);
    spell(radix, b, digits, length, u, v);
  }

  /** Any length, value by value inside a round: for the few texts too long for doubles. */
  private bigDigits(radix: number, length: number, digits: Uint16Array | Uint8Array): void {
    const u = length >>> 1;
    const v = length - u;
    const bytes = numeralBytes(radix, v);
    const head = header(radix, u, length, this.tweak.length);
    const size = Math.ceil((this.tweak.length + bytes + 1) / BLOCK) * BLOCK;
    const q = new Uint8Array(size);
    q.set(this.tweak);
    for (let at = 0; at < digits.length; at += length) {
      const text = digits.subarray(at, at + length);
      let a = numeral(radix, text, 0, u);
      let b = numeral(radix, text, u, length);
      for (let round = 0; round < ROUNDS; round++) {
        q[size - bytes - 1] = round;
        q.set(bigEndian(b, bytes), size - bytes);
        const y = this.expand(this.chain(head, q), 4 * Math.ceil(bytes / 4) + 4);
        const c = (a + y) % BigInt(radix) ** BigInt(round % 2 === 0 ? u : v);
        a = b;
        b = c;
      }
      for (let j = u - 1; j >= 0; j--, a /= BigInt(radix)) text[j] = Number(a % BigInt(radix));
      for (let j = length - 1; j >= u; j--, b /= BigInt(radix)) text[j] = Number(b % BigInt(radix));
    }
  }

  /** CBC-MAC of P ‖ Q. */
  private chain(head: Uint8Array, q: Uint8Array): Uint8Array {
    let state = this.encrypt(head);
    for (let at = 0; at < q.length; at += BLOCK) {
      const block = new Uint8Array(BLOCK);
      for (let k = 0; k < BLOCK; k++) block[k] = state[k]! ^ q[at + k]!;
      state = this.encrypt(block);
    }
    return state;
  }

  /** R ‖ E(R ⊕ 1) ‖ E(R ⊕ 2) …, cut to `length` bytes, as a number. */
  private expand(r: Uint8Array, length: number): bigint {
    const blocks = new Uint8Array((Math.ceil(length / BLOCK) - 1) * BLOCK);
    for (let j = 0; j < blocks.length; j += BLOCK) {
      blocks.set(r, j);
      new DataView(blocks.buffer).setUint32(
        j + 12,
        new DataView(r.buffer, r.byteOffset).getUint32(12) ^ (j / BLOCK + 1),
      );
    }
    const stream = Buffer.concat([r, this.encrypt(blocks)]).subarray(0, length);
    return BigInt(`0x${stream.toString('hex')}`);
  }

  /**
   * What the last block of every value has in common: the CBC-MAC of P and of all blocks of Q but the last, XORed with
   * the last block's share of the tweak.
   */
  private prefix(radix: number, u: number, length: number, bytes: number): Uint32Array {
    const q = new Uint8Array(Math.ceil((this.tweak.length + bytes + 1) / BLOCK) * BLOCK);
    q.set(this.tweak);
    const head = q.subarray(0, q.length - BLOCK);
    const state = new Uint8Array(this.chain(header(radix, u, length, this.tweak.length), head));
    for (let k = 0; k < BLOCK; k++) state[k]! ^= q[head.length + k]!;
    return words(state);
  }
}

/** Numbers of up to 64 bits as two words each. */
export interface Halves {
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

function check(radix: number, length: number): void {
  if (radix < 2 || radix > 65535 || length < 2 || radix ** length < 100) {
    throw new RangeError(`FF1 needs at least 100 texts: radix ${radix}, length ${length} has fewer`);
  }
}

/** P of the standard: 1, 2, 1, radix (3 bytes), 10, u mod 256, n (4 bytes), t (4 bytes). */
function header(radix: number, u: number, length: number, tweak: number): Uint8Array {
  const p = new Uint8Array(BLOCK);
  p.set([1, 2, 1, 0, radix >>> 8, radix & 0xff, ROUNDS, u & 0xff]);
  const view = new DataView(p.buffer);
  view.setUint32(8, length);
  view.setUint32(12, tweak);
  return p;
}

/** Bytes that the largest numeral of v digits needs: ⌈⌈v · log2 radix⌉ / 8⌉, exactly. */
function numeralBytes(radix: number, v: number): number {
  const bits = (BigInt(radix) ** BigInt(v) - 1n).toString(16).length * 4;
  const top = Number.parseInt((BigInt(radix) ** BigInt(v) - 1n).toString(16)[0]!, 16);
  return Math.ceil((bits - Math.clz32(top) + 28) / 8);
}

function prefixed(prefix: Uint32Array, count: number): Uint32Array {
  const blocks = new Uint32Array(count * 4);
  for (let i = 0; i < blocks.length; i++) blocks[i] = prefix[i & 3]!;
  return blocks;
}

function numerals(
  radix: number,
  digits: ArrayLike<number>,
  length: number,
  from: number,
  size: number,
): Float64Array {
  const out = new Float64Array(digits.length / length);
  for (let i = 0, at = from; i < out.length; i++, at += length) {
    let value = 0;
    for (let j = 0; j < size; j++) value = value * radix + digits[at + j]!;
    out[i] = value;
  }
  return out;
}

function spell(
  radix: number,
  values: Float64Array,
  digits: Uint16Array | Uint8Array,
  length: number,
  from: number,
  size: number,
): void {
  for (let i = 0, at = from; i < values.length; i++, at += length) {
    let rest = values[i]!;
    for (let j = size - 1; j >= 0; j--) {
      const next = Math.floor(rest / radix);
      digits[at + j] = rest - next * radix;
      rest = next;
    }
  }
}

function numeral(radix: number, digits: ArrayLike<number>, from: number, to: number): bigint {
  let value = 0n;
  for (let j = from; j < to; j++) value = value * BigInt(radix) + BigInt(digits[j]!);
  return value;
}

function bigEndian(value: bigint, bytes: number): Uint8Array {
  return Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex');
}
