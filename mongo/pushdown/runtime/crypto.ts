import { utf8 } from './bytes.js';

/*
 * As much of `node:crypto` as the keyed function needs, in JavaScript alone: AES (FIPS 197) in ECB and CBC mode, forward
 * only, and HKDF-SHA256 (RFC 5869, FIPS 180-4). Tables are made, not written down. Table look-ups take a time that
 * depends on key and data, so it is for servers that are trusted with the key anyway.
 */

const SBOX = new Uint8Array(256);
/** Column 0 of MixColumns after SubBytes, as a big-endian word; the other columns are its rotations. */
const MIXED = new Uint32Array(256);

for (let p = 1, q = 1; ; ) {
  p = (p ^ (p << 1) ^ (p & 0x80 ? 0x1b : 0)) & 0xff;
  // Division by 3, so that q stays the inverse of p.
  q ^= q << 1;
  q ^= q << 2;
  q ^= q << 4;
  q &= 0xff;
  if (q & 0x80) q ^= 0x09;
  const turned = q ^ rotate8(q, 1) ^ rotate8(q, 2) ^ rotate8(q, 3) ^ rotate8(q, 4);
  SBOX[p] = turned ^ 0x63;
  if (p === 1) break;
}
SBOX[0] = 0x63;
for (let i = 0; i < 256; i++) {
  const s = SBOX[i]!;
  const twice = ((s << 1) ^ (s & 0x80 ? 0x1b : 0)) & 0xff;
  MIXED[i] = ((twice << 24) | (s << 16) | (s << 8) | (twice ^ s)) >>> 0;
}

function rotate8(byte: number, by: number): number {
  return ((byte << by) | (byte >>> (8 - by))) & 0xff;
}

function right(word: number, by: number): number {
  return ((word >>> by) | (word << (32 - by))) >>> 0;
}

function word(bytes: ArrayLike<number>, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function substitute(w: number): number {
  return (
    ((SBOX[w >>> 24]! << 24) |
      (SBOX[(w >>> 16) & 255]! << 16) |
      (SBOX[(w >>> 8) & 255]! << 8) |
      SBOX[w & 255]!) >>>
    0
  );
}

function expandKey(key: Uint8Array): Uint32Array {
  const size = key.length / 4;
  const schedule = new Uint32Array(4 * (size + 7));
  for (let i = 0; i < size; i++) schedule[i] = word(key, 4 * i);
  let round = 1;
  for (let i = size; i < schedule.length; i++) {
    let next = schedule[i - 1]!;
    if (i % size === 0) {
      next = substitute(right(next, 24)) ^ (round << 24);
      round = (round << 1) ^ (round & 0x80 ? 0x11b : 0);
    } else if (size > 6 && i % size === 4) next = substitute(next);
    schedule[i] = schedule[i - size]! ^ next;
  }
  return schedule;
}

/** Encrypts the block at `at` in place. */
function encryptBlock(keys: Uint32Array, bytes: Uint8Array, at: number): void {
  let state = [0, 1, 2, 3].map((i) => (word(bytes, at + 4 * i) ^ keys[i]!) >>> 0);
  const rounds = keys.length / 4 - 1;
  for (let round = 1; round < rounds; round++) {
    state = state.map(
      (first, i) =>
        (MIXED[first >>> 24]! ^
          right(MIXED[(state[(i + 1) & 3]! >>> 16) & 255]!, 8) ^
          right(MIXED[(state[(i + 2) & 3]! >>> 8) & 255]!, 16) ^
          right(MIXED[state[(i + 3) & 3]! & 255]!, 24) ^
          keys[4 * round + i]!) >>>
        0,
    );
  }
  for (let i = 0; i < 4; i++) {
    const shifted =
      (state[i]! & 0xff000000) |
      (state[(i + 1) & 3]! & 0xff0000) |
      (state[(i + 2) & 3]! & 0xff00) |
      (state[(i + 3) & 3]! & 0xff);
    const out = substitute(shifted >>> 0) ^ keys[4 * rounds + i]!;
    for (let k = 0; k < 4; k++) bytes[at + 4 * i + k] = out >>> (24 - 8 * k);
  }
}

/** ECB, or CBC from a zero block: what CMAC and the key streams are made of. */
export function createCipheriv(name: string, key: Uint8Array) {
  const keys = expandKey(key);
  const chained = name.endsWith('cbc');
  let last = new Uint8Array(16);
  const cipher = {
    setAutoPadding: () => cipher,
    update(blocks: Uint8Array): Uint8Array {
      const out = new Uint8Array(blocks);
      for (let at = 0; at < out.length; at += 16) {
        if (chained) for (let k = 0; k < 16; k++) out[at + k]! ^= last[k]!;
        encryptBlock(keys, out, at);
        if (chained) last = out.slice(at, at + 16);
      }
      return out;
    },
  };
  return cipher;
}

/** First bits of the fractions of roots of the first primes: the constants of SHA-256. */
function constants(count: number, exponent: number): Uint32Array {
  const out = new Uint32Array(count);
  for (let n = 2, found = 0; found < count; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    const root = n ** exponent;
    out[found++] = (root - Math.floor(root)) * 2 ** 32;
  }
  return out;
}

const START = constants(8, 1 / 2);
const ROUND = constants(64, 1 / 3);

function sha256(message: Uint8Array): Uint8Array {
  const padded = new Uint8Array((((message.length + 8) >>> 6) + 1) * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const bits = message.length * 8;
  for (let k = 0; k < 4; k++) padded[padded.length - 1 - k] = bits >>> (8 * k);
  const state = new Uint32Array(START);
  const w = new Uint32Array(64);
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 64; i++) w[i] = i < 16 ? word(padded, at + 4 * i) : scheduled(w, i);
    compress(state, w);
  }
  const out = new Uint8Array(32);
  for (let i = 0; i < 32; i++) out[i] = state[i >>> 2]! >>> (24 - 8 * (i & 3));
  return out;
}

function scheduled(w: Uint32Array, i: number): number {
  const a = w[i - 15]!;
  const b = w[i - 2]!;
  const s0 = right(a, 7) ^ right(a, 18) ^ (a >>> 3);
  const s1 = right(b, 17) ^ right(b, 19) ^ (b >>> 10);
  return w[i - 16]! + s0 + w[i - 7]! + s1;
}

function compress(state: Uint32Array, w: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let i = 0; i < 64; i++) {
    const s1 = right(e, 6) ^ right(e, 11) ^ right(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i]! + w[i]!) >>> 0;
    const s0 = right(a, 2) ^ right(a, 13) ^ right(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) >>> 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) >>> 0, c, b, a, (t1 + t2) >>> 0];
  }
  for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i]! += value;
}

function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? sha256(key) : key);
  const inner = joined(
    block.map((byte) => byte ^ 0x36),
    message,
  );
  return sha256(
    joined(
      block.map((byte) => byte ^ 0x5c),
      sha256(inner),
    ),
  );
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** HKDF with SHA-256, whatever `digest` says. */
export function hkdfSync(
  _digest: string,
  key: Uint8Array,
  salt: string,
  info: string,
  length: number,
): ArrayBuffer {
  const secret = hmac(utf8(salt), key);
  const out = new Uint8Array(length);
  let block = new Uint8Array(0) as Uint8Array;
  for (let at = 0, counter = 1; at < length; at += 32, counter++) {
    block = hmac(secret, joined(joined(block, utf8(info)), Uint8Array.of(counter)));
    out.set(block.subarray(0, Math.min(32, length - at)), at);
  }
  return out.buffer;
}
