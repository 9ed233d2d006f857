import { hkdfSync } from 'node:crypto';

/**
 * HKDF-SHA256 (RFC 5869).
 *
 * @param info What the derived key is for, UTF-8; different infos give unrelated keys.
 * @param salt UTF-8; default empty.
 * @param length Bytes to derive; default 32.
 */
export function hkdf(key: Uint8Array, info: string, salt = '', length = 32): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, info, length));
}
