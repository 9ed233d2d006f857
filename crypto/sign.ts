import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';

/** DER around a raw Ed25519 seed and public key (RFC 8410). */
const PRIVATE = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC = Buffer.from('302a300506032b6570032100', 'hex');

/** An Ed25519 key pair (RFC 8032). */
export interface Signer {
  /** 32 bytes, base64: what a verifier needs. */
  readonly publicKey: string;
  /** Signature over the UTF-8 text, base64. */
  sign(text: string): string;
}

/** The key pair of a 32-byte seed: the same seed gives the same pair. */
export function signer(seed: Uint8Array): Signer {
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(PUBLIC.length);
  return {
    publicKey: publicKey.toString('base64'),
    sign: (text) => sign(null, Buffer.from(text), key).toString('base64'),
  };
}

/** True when `signature` over `text` was made by the holder of `publicKey` (both base64); never throws. */
export function verifies(publicKey: string, text: string, signature: string): boolean {
  try {
    const key = createPublicKey({
      key: Buffer.concat([PUBLIC, Buffer.from(publicKey, 'base64')]),
      format: 'der',
      type: 'spki',
    });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}
