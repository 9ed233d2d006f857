import { LetheError } from '../../errors/errors.js';
import { didYouMean } from '../../job/nearest.js';
import { resolveReference } from '../../job/references.js';
import { loadRetention } from '../../job/retention/load.js';
import type { RetentionFile } from '../../job/retention/types.js';
import type { RingSource } from '../../retention/keys/source.js';
import { openKeyStore } from './open.js';

/**
 * The key stores of a retention file on disk, for an application that reads or seals by itself; close it at the end. Its
 * references (`env:`, `file:`, `exec:`) are resolved in this process.
 *
 * @param path Of the retention file: `retention.yaml`.
 * @throws LetheError `RetentionInvalid` when the file has mistakes.
 * @example
 * ```ts
 * const source = await openRings('retention.yaml');
 * const revealer = new Revealer(new Keyring(await source.rings({ policies: ['ip'] })), 'access log');
 * ```
 */
export async function openRings(path: string): Promise<RingSource> {
  return openRingSource(await loadRetention(path), resolveReference);
}

/**
 * All key stores of a retention file as one source: each policy is asked for where it is kept. Stores are opened when they
 * are first needed.
 *
 * @param resolve Turns a reference (`env:`, `file:`, `exec:`) into its value: `resolveReference` of job/references.
 */
export function openRingSource(
  file: RetentionFile,
  resolve: (reference: string) => Promise<string>,
): RingSource {
  const opened = new Map<string, Promise<RingSource>>();
  const store = (name: string) => {
    const source = opened.get(name) ?? openKeyStore(file, name, resolve);
    opened.set(name, source);
    // One that failed is tried again.
    source.catch(() => opened.delete(name));
    return source;
  };
  const storeOf = (policy: string) => {
    const found = file.policies[policy];
    if (found) return found.store;
    const known = didYouMean(policy, Object.keys(file.policies));
    throw new LetheError('RetentionInvalid', `There is no policy "${policy}" in the retention file${known}.`);
  };
  return {
    async epoch() {
      const names = [...new Set(Object.values(file.policies).map((policy) => policy.store))].sort();
      const epochs = await Promise.all(
        names.map(async (name) => `${name}:${await (await store(name)).epoch()}`),
      );
      return epochs.join(' ');
    },
    async rings(request = {}) {
      const wanted = request.policies ?? Object.keys(file.policies);
      const names = [...new Set(wanted.map(storeOf))];
      const rings = await Promise.all(
        names.map(async (name) =>
          (await store(name)).rings({
            ...request,
            policies: wanted.filter((policy) => storeOf(policy) === name),
          }),
        ),
      );
      return rings.flat();
    },
    ensureDayKeys: async (policy, days) => (await store(storeOf(policy))).ensureDayKeys(policy, days),
    async close() {
      await Promise.allSettled([...opened.values()].map(async (source) => (await source).close()));
      opened.clear();
    },
  };
}
