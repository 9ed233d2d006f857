import { BLOCK, type BlockCipher } from '../crypto/aes.js';

/**
 * Prefix-preserving encryption of addresses: two that share their first k bits share exactly k bits afterwards. A
 * bijection (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP Address Anonymization", ICNP 2002: Crypto-PAn). Each bit is
 * flipped by a bit of the encrypted prefix before it; all addresses go through one layer, one bit position, together.
 *
 * @param encrypt AES under the key.
 * @param pad 16 bytes that fill up the prefix to a block.
 * @param addresses All of the same length, 4 or 16 bytes.
 * @param kept How many leading bits of each address stay. To remain a bijection, it must depend on those bits alone.
 */
export function cryptoPan(
  encrypt: BlockCipher,
  pad: Uint8Array,
  addresses: readonly Uint8Array[],
  kept: (address: Uint8Array) => number,
): Uint8Array[] {
  const width = (addresses[0]?.length ?? 0) * 8;
  const first = addresses.map(kept);
  const blocks = new Uint8Array(addresses.length * BLOCK);
  for (let i = 0; i < addresses.length; i++) blocks.set(pad, i * BLOCK);
  const out = addresses.map((address) => address.slice());
  for (let bit = 0; bit < width; bit++) {
    const byte = bit >> 3;
    const mask = 0x80 >> (bit & 7);
    const layer = encrypt(blocks);
    for (let i = 0; i < addresses.length; i++) {
      if (bit >= first[i]! && layer[i * BLOCK]! & 0x80) out[i]![byte]! ^= mask;
      const at = i * BLOCK + byte;
      blocks[at] = (blocks[at]! & ~mask) | (addresses[i]![byte]! & mask);
    }
  }
  return out;
}

/** A range of addresses with a meaning of its own. */
export interface SpecialRange {
  readonly bytes: Uint8Array;
  /** Bits of the prefix. */
  readonly length: number;
  /** Its addresses identify nobody and stay as they are. */
  readonly fixed?: boolean;
}

/**
 * Leading bits that stay so that special ranges map to themselves, fixed ones bit by bit, and nothing else maps into
 * them: those of each special prefix, and at its neighbours the bits up to the one that tells them apart.
 */
export function specialBits(address: Uint8Array, ranges: readonly SpecialRange[]): number {
  let bits = 0;
  for (const range of ranges) {
    const shared = Math.min(sharedBits(address, range.bytes), range.length);
    if (shared < range.length) bits = Math.max(bits, shared + 1);
    else bits = Math.max(bits, range.fixed ? address.length * 8 : range.length);
  }
  return bits;
}

/** Whether the address is in the range. */
export function isInside(address: Uint8Array, range: SpecialRange): boolean {
  return sharedBits(address, range.bytes) >= range.length;
}

function sharedBits(a: Uint8Array, b: Uint8Array): number {
  let byte = 0;
  while (byte < a.length && a[byte] === b[byte]) byte++;
  return byte === a.length ? byte * 8 : byte * 8 + Math.clz32(a[byte]! ^ b[byte]!) - 24;
}
