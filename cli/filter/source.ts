import { resolveReference } from '../../job/references.js';
import type { RetentionFile } from '../../job/retention/types.js';
import { openRingSource } from '../../postgres/keystore/sources.js';
import type { RingSource } from '../../retention/keys/source.js';

/** Opens the key stores of a retention file for the length of `body`, each when a policy of it is needed. */
export async function withRings(
  file: RetentionFile,
  body: (source: RingSource) => Promise<void>,
): Promise<void> {
  const source = openRingSource(file, resolveReference);
  try {
    await body(source);
  } finally {
    await source.close();
  }
}
