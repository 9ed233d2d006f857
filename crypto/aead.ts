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
    seal(text, context) {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
      const body = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([body, cipher.getAuthTag()]).toString('base64');
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed, 'base64');
      const end = bytes.length - TAG;
      try {
        const cipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE), { authTagLength: TAG });
        cipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(end));
        return cipher.update(bytes.subarray(NONCE, end), undefined, 'utf8') + cipher.final('utf8');
      } catch {
        throw new LetheError(
          'LedgerTampered',
          `The sealed text of ${context} cannot be opened: it was changed, or written under another job key. ` +
            'Use the key that the run started with.',
        );
      }
    },
  };
}
