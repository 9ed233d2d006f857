import { openBytes, sealBytes } from '../../../crypto/aead.js';
import { hkdf } from '../../../crypto/hkdf.js';
import { LetheError } from '../../../errors/errors.js';
import type { MasterProvider } from '../masters.js';

/**
 * Master keys that are all derived from one environment variable: nothing to keep, and nothing that can be destroyed.
 * Grade `none`: whoever has the variable opens what was ever wrapped. For tests, and where a deletion on request is proved
 * otherwise.
 */
export function envMasters(name: string, environment: NodeJS.ProcessEnv = process.env): MasterProvider {
  const master = (id: string) => hkdf(root(name, environment), 'lethe/master', id);
  return {
    async create() {
      root(name, environment);
    },
    async wrap(id, bytes, context) {
      return sealBytes(master(id), bytes, context);
    },
    async unwrap(id, sealed, context) {
      return openBytes(master(id), sealed, context);
    },
    async destroy() {
      return { grade: 'none' };
    },
    async list() {
      return [];
    },
    async check() {
      root(name, environment);
    },
  };
}

function root(name: string, environment: NodeJS.ProcessEnv): Buffer {
  const key = Buffer.from(environment[name] ?? '', 'base64');
  if (key.length === 32) return key;
  throw new LetheError(
    'MasterKeyUnusable',
    `The environment variable ${name} does not hold 32 bytes in base64. Set it where this process runs; \`lethe keygen\` makes one.`,
  );
}
