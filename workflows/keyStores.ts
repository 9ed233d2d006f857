import { ApplicationFailure, isCancellation, upsertSearchAttributes } from '@temporalio/workflow';
import type { KeyStoreRef } from '../activities/keyTypes.js';
import { KEY_STORE_ATTRIBUTE, MODE_ATTRIBUTE } from './attributes.js';
import { describeFailure } from './failures.js';
import type { CheckedKeysInput } from './keysInput.js';
import type { Activities } from './options.js';

/**
 * Does something with every key store that the input means, one after the other. One that fails does not keep the others
 * from their turn; then the workflow fails with what each said.
 */
export async function eachKeyStore<T>(
  activities: Activities,
  { keyStore, file }: CheckedKeysInput,
  mode: string,
  body: (ref: KeyStoreRef) => Promise<T>,
): Promise<T[]> {
  const refs = await retold(() =>
    activities.planning.findKeyStores({ ...(keyStore !== undefined && { keyStore }), ...(file && { file }) }),
  );
  upsertSearchAttributes([
    { key: KEY_STORE_ATTRIBUTE, value: refs.map((ref) => ref.keyStore).join(', ') },
    { key: MODE_ATTRIBUTE, value: mode },
  ]);
  const done: T[] = [];
  const failures: { keyStore: string; type: string; message: string }[] = [];
  for (const ref of refs) {
    try {
      done.push(await body(ref));
    } catch (error) {
      if (isCancellation(error)) throw error;
      failures.push({ keyStore: ref.keyStore, ...describeFailure(error) });
    }
  }
  if (failures.length === 0) return done;
  throw ApplicationFailure.nonRetryable(
    failures.map(({ keyStore: name, message }) => `Key store ${name}: ${message}`).join('\n'),
    failures[0]!.type,
  );
}

async function retold<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { type, message } = describeFailure(error);
    throw ApplicationFailure.nonRetryable(message, type);
  }
}
