import { activityInfo } from '@temporalio/activity';
import { jobInvalid } from '../job/load.js';
import { chooseKeyStores, listRetention } from '../job/retention/folder.js';
import { parseRetention } from '../job/retention/load.js';
import { type KeyStore, openKeyStore } from '../postgres/keystore/open.js';
import type { Dependencies } from './dependencies.js';
import type { KeyActivities, KeyStoreRef, KeysInput } from './keyTypes.js';
import { activityFailure, beating } from './run.js';

/** The activities of `generateDayKeys` and `destroyDayKeys`. */
export function createKeyActivities(deps: Dependencies): KeyActivities {
  return {
    findKeyStores: (input) => guarded(() => findKeyStores(deps, input)),
    makeDayKeys: (ref, logical) =>
      withKeyStore(deps, ref, async (store) => {
        const { made, policies } = await store.generate(logical);
        return { made, policies: [...policies] };
      }),
    beginDestruction: (ref, { logical, confirmGap }) =>
      withKeyStore(deps, ref, async (store) => {
        // The server's time of this attempt: a first one that waited long for a worker is tried again with its own.
        const temporal = activityInfo().currentAttemptScheduledTimestampMs;
        const { held, ...next } = await store.beginDestruction({ logical, confirmGap, temporal });
        return { ...next, held: [...held] };
      }),
    destroyUpTo: (ref, destruction, step) =>
      withKeyStore(deps, ref, (store) => store.destroyUpTo(destruction, step)),
    endedDestruction: (ref, destruction) =>
      withKeyStore(deps, ref, async (store) => {
        const { destroyed, grade } = await store.endedDestruction(destruction);
        return { destroyed: [...destroyed], ...(grade && { grade }) };
      }),
  };
}

async function findKeyStores(deps: Dependencies, { keyStore, file }: KeysInput): Promise<KeyStoreRef[]> {
  const files = file
    ? [{ file: file.name, text: file.text, ...parseRetention(file.text, file.name) }]
    : await listRetention(deps.jobsFolder, deps.retentionFile);
  return chooseKeyStores(files, keyStore).map((found) => ({ keyStore: found.keyStore, file: found.file }));
}

function withKeyStore<T>(
  deps: Dependencies,
  { keyStore, file }: KeyStoreRef,
  body: (store: KeyStore) => Promise<T>,
): Promise<T> {
  return guarded(async () => {
    const { retention, mistakes } = parseRetention(file.text, file.name);
    if (!retention) throw jobInvalid(file.name, mistakes);
    return body(await openKeyStore(retention, keyStore, deps.resolve));
  });
}

async function guarded<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await beating(body);
  } catch (error) {
    throw activityFailure(error);
  }
}
