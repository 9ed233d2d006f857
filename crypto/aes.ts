import { createCipheriv } from 'node:crypto';

/** Bytes of an AES block. */
export const BLOCK = 16;

/** Encrypts whole 16-byte blocks, each by itself; returns a buffer of its own. */
export type BlockCipher = (blocks: Uint8Array) => Uint8Array;

/**
 * AES in ECB mode (NIST SP 800-38A): the raw permutation that CMAC and FF1 are made of, over many blocks in one call.
 * Blocks are independent, so one cipher object serves every call.
 *
 * @param key 16, 24 or 32 bytes; job keys give 32.
 */
export function aes(key: Uint8Array): BlockCipher {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
  return (blocks) => cipher.update(blocks);
}

/** The same memory as 32-bit words; copies where the buffer is not aligned for that. */
export function words(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
}

/** The same memory as bytes. */
export function bytesOf(view: Uint32Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Reverses the bytes of a 32-bit word: AES blocks are big-endian, the machine is little-endian. */
export function swap(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
