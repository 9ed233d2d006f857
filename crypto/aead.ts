import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { LetheError } from '../errors/errors.js';

const NONCE = 12;
const TAG = 16;

/** Encrypts short texts so that they can be neither read nor moved elsewhere without the key. */
export interface Aead {
  /** Base64 of nonce ‖ ciphertext ‖ tag. `context` says where the text belongs and must be given again to open it. */
  seal(text: string, context: string): string;
  /** Throws `LedgerTampered` when key, context or text do not fit. */
  open(sealed: string, context: string): string;
}

/** AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces: good for 2^32 texts a key. */
export function aead(key: Uint8Array): Aead {
  return {
    seal: (text, context) => sealBytes(key, Buffer.from(text), Buffer.from(context)).toString('base64'),
    open(sealed, context) {
      const text = openBytes(key, Buffer.from(sealed, 'base64'), Buffer.from(context));
      if (text) return text.toString('utf8');
      throw new LetheError(
        'LedgerTampered',
        `The sealed text of ${context} cannot be opened: it was changed, or written under another job key. ` +
          'Use the key that the run started with.',
      );
    },
  };
}

/** Nonce ‖ ciphertext ‖ tag of some bytes, bound to `context`, which must be given again to open them. */
export function sealBytes(key: Uint8Array, bytes: Uint8Array, context: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** What `sealBytes` sealed; undefined where key, context or bytes do not fit. */
export function openBytes(key: Uint8Array, sealed: Uint8Array, context: Uint8Array): Buffer | undefined {
  const end = sealed.length - TAG;
  if (end < NONCE) return undefined;
  try {
    const cipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE), { authTagLength: TAG });
    cipher.setAAD(context).setAuthTag(sealed.subarray(end));
    return Buffer.concat([cipher.update(sealed.subarray(NONCE, end)), cipher.final()]);
  } catch {
    return undefined;
  }
}
