import { LetheError } from '../../errors/errors.js';
import type { RetentionFile } from '../../job/retention/types.js';
import type { KeyStore } from '../keystore/open.js';
import type { RedactionEntry } from '../keystore/receipts.js';
import type { Session } from '../session.js';
import { type Redaction, type RedactionDays, type RedactRequest, redactRows } from './redact.js';

/** Who answers for a redaction, and why. */
export interface Answerable {
  readonly actor: string;
  readonly reason: string;
}

type RecordingStore = Pick<KeyStore, 'name' | 'holds' | 'recordRedactions' | 'failRedactions'>;

/**
 * `redactRows` with its receipts: every key store is there, and no hold is against it, before the first receipt is
 * appended. Where the redaction fails after that, a further receipt says so of each.
 *
 * @param stores Those in which receipts may be written.
 * @throws LetheError as `redactRows` does; `RetentionInvalid` when the store of one of the policies is not among them.
 */
export async function redactRecorded(
  session: Session,
  file: Pick<RetentionFile, 'policies' | 'tables'>,
  request: Omit<RedactRequest, 'holds'>,
  stores: readonly RecordingStore[],
  answerable: Answerable,
): Promise<Redaction> {
  const made: { store: RecordingStore; receipts: readonly number[] }[] = [];
  const holds = (await Promise.all(stores.map((store) => store.holds()))).flat();
  try {
    return await redactRows(session, file, { ...request, holds }, async (redaction, days) => {
      const entries = entriesOf(file, stores, redaction, days, answerable);
      // One that cannot be reached is found before anything is written.
      for (const store of entries.keys()) await store.holds();
      for (const [store, own] of entries) made.push({ store, receipts: await store.recordRedactions(own) });
    });
  } catch (error) {
    for (const { store, receipts } of made) await withdraw(store, receipts, error);
    throw error;
  }
}

async function withdraw(store: RecordingStore, receipts: readonly number[], error: unknown): Promise<void> {
  try {
    await store.failRedactions(receipts);
  } catch {
    const { type, message } =
      error instanceof LetheError ? error : new LetheError('Internal', 'The redaction failed.');
    throw new LetheError(
      type,
      `${message} Receipts ${receipts.join(', ')} of key store ${store.name} tell of it nevertheless, and it could not be written down there that it failed.`,
    );
  }
}

function entriesOf(
  { policies }: Pick<RetentionFile, 'policies'>,
  stores: readonly RecordingStore[],
  redaction: Redaction,
  days: RedactionDays,
  answerable: Answerable,
): Map<RecordingStore, RedactionEntry[]> {
  const entries = new Map<RecordingStore, RedactionEntry[]>();
  const what = `${redaction.table} (${redaction.columns.join(', ')})`;
  for (const [policy, rows] of Object.entries(redaction.policies)) {
    const store = stores.find(({ name }) => name === policies[policy]!.store);
    if (!store)
      throw new LetheError(
        'RetentionInvalid',
        `Tokens of policy ${policy} are among them, whose key store is not --store: leave --store out.`,
      );
    const entry = { policy, what, rows, ...answerable, days: [...(days.get(policy) ?? [])] };
    entries.set(store, [...(entries.get(store) ?? []), entry]);
  }
  return entries;
}
