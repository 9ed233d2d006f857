import { createHmac } from 'node:crypto';
import { type Aead, aead } from '../crypto/aead.js';
import { Cmac } from '../crypto/cmac.js';
import { hkdf } from '../crypto/hkdf.js';
import { type Signer, signer } from '../crypto/sign.js';
import { LetheError } from '../errors/errors.js';
import { keyedPrf } from './prf.js';
import type { Prf, Sealing } from './transformer.js';

/** Everything that a job key is used for, each under a key of its own. */
export interface JobKeys {
  /** Tells two job keys apart without telling what they are: 16 hex digits. A run pins it. */
  readonly check: string;
  /** The keyed function of a domain of columns. Its inputs are taken as they are: see `canonicalPrf`. */
  domain(name: string): Prf;
  /** The 32-byte key behind a domain's function, for what runs where the job key is not. */
  domainKey(name: string): Uint8Array;
  /** Encrypts batch bounds and quarantined keys. The same in every run. */
  readonly ledger: Aead;
  /** Keyed hash, 32 hex digits, for finding an encrypted text again without reading it. The same in every run. */
  digest(text: string): string;
  /** 16-byte keyed digests of whole rows, for `evidence: row`. The same in every run. */
  readonly evidence: Cmac;
  /** Signs a run's report. */
  readonly signing: Signer;
  /** Day keys for `retain`, where the job has any; no part of the job key. */
  readonly sealing?: Sealing;
}

/**
 * Derives the keys of a job by HKDF-SHA256.
 *
 * @param jobKey 32 bytes.
 * @param run Lethe's run id, for `consistency: run`: the domains' functions then differ from every other run's. Without
 * it they are the same in every run.
 */
export function jobKeys(jobKey: Uint8Array, run = ''): JobKeys {
  const digestKey = hkdf(jobKey, 'lethe/1/digest');
  const domains = new Map<string, Prf>();
  const domainKey = (name: string) => hkdf(jobKey, `lethe/1/domain/${name}`, run);
  return {
    check: Buffer.from(hkdf(jobKey, 'lethe/1/check', '', 8)).toString('hex'),
    domain(name) {
      const known = domains.get(name);
      if (known) return known;
      const prf = keyedPrf(domainKey(name));
      domains.set(name, prf);
      return prf;
    },
    domainKey,
    ledger: aead(hkdf(jobKey, 'lethe/1/ledger')),
    digest: (text) => createHmac('sha256', digestKey).update(text).digest('hex').slice(0, 32),
    evidence: new Cmac(hkdf(jobKey, 'lethe/1/evidence')),
    signing: signer(hkdf(jobKey, 'lethe/1/sign')),
  };
}

/** Reads a job key: 32 bytes, base64. Throws `ReferenceUnresolved`, never naming what it was given. */
export function parseJobKey(text: string): Uint8Array {
  const trimmed = text.trim();
  const key = Buffer.from(trimmed, 'base64');
  if (key.length !== 32 || key.toString('base64') !== trimmed) {
    throw new LetheError(
      'ReferenceUnresolved',
      'The job key must be exactly 32 bytes in base64 (44 characters). Make one with `lethe keygen`.',
    );
  }
  return new Uint8Array(key);
}
