import { LetheError } from '../../errors/errors.js';
import type { Grade } from '../../retention/keys/policy.js';
import {
  type Export,
  makeReceipt,
  type Receipt,
  type ReceiptBody,
  type RedactionReceipt,
} from '../../retention/keys/receipts.js';
import type { Day } from '../../retention/token/day.js';
import { query, type Session } from '../session.js';
import { locked, type StoreContext, withStore } from './context.js';
import { writeCopy } from './copy.js';
import type { DestructionRow } from './destruction.js';
import { readHolds, refuseHeld } from './holds.js';
import { changed, readPolicies, readStore } from './rows.js';

/** All receipts, in their order. */
export async function readReceipts(session: Session): Promise<Receipt[]> {
  const rows = await query(
    session,
    'SELECT seq, text, digest, signature, public_key FROM lethe_keys.receipt ORDER BY seq',
  );
  return rows.map((row) => ({
    seq: Number(row.seq),
    text: row.text!,
    digest: row.digest!,
    signature: row.signature!,
    publicKey: row.public_key!,
  }));
}

/** A receipt for every day key that a destruction ended, signed and chained. To be called under the lock. */
export async function issueReceipts(
  session: Session,
  context: StoreContext,
  { id, cause, cutoff, clocks, actor, reason }: DestructionRow,
): Promise<void> {
  const rows = await query(
    session,
    `SELECT t.policy, t.day, t.fingerprint, t.canary, t.grade, t.until,
       coalesce((SELECT json_agg(json_build_object('actor', e.actor, 'times', e.times, 'first', e.first, 'last', e.last)
         ORDER BY e.actor) FROM lethe_keys.export e WHERE e.policy = t.policy AND e.day = t.day), '[]') AS exports
     FROM lethe_keys.tombstone t WHERE t.destruction = $1 ORDER BY t.policy, t.day`,
    [id],
  );
  const bodies = rows.map(
    (row): ReceiptBody => ({
      kind: 'destruction',
      policy: row.policy!,
      day: row.day!,
      fingerprint: row.fingerprint!,
      canary: row.canary!,
      cause: cause === 'early' ? 'early' : 'due',
      destroyed: { grade: row.grade as Grade, ...(row.until !== null && { until: row.until }) },
      cutoff: new Date(cutoff).toISOString(),
      clocks,
      exports: JSON.parse(row.exports!) as Export[],
      ...(actor !== undefined && { actor }),
      ...(reason !== undefined && { reason }),
    }),
  );
  await append(session, context, bodies);
}

/** A redaction that is about to be committed, with the days of its tokens. */
export interface RedactionEntry extends Omit<RedactionReceipt, 'kind'> {
  readonly days: readonly Day[];
}

/**
 * Writes down that the tokens of a subject are rewritten while their day keys live on: all of the entries, or none.
 *
 * @param entries Names and counts only; `what` says which table and columns.
 * @returns The numbers of the receipts.
 * @throws LetheError `OnHold` when a hold keeps one of the days, `RetentionInvalid` when a policy is not of this store.
 */
export function recordRedactions(
  context: StoreContext,
  entries: readonly RedactionEntry[],
): Promise<readonly number[]> {
  return withStore(context, async (session) => {
    const known = await readPolicies(session);
    const unknown = entries.find(({ policy }) => !known.has(policy));
    if (unknown) throw new LetheError('RetentionInvalid', `The key store has no policy "${unknown.policy}".`);
    const receipts = await locked(session, async () => {
      const holds = await readHolds(session);
      for (const { policy, days } of entries) refuseHeld(holds, policy, days);
      const bodies = entries.map(({ days: _, ...body }): ReceiptBody => ({ kind: 'redaction', ...body }));
      const numbers = await append(session, context, bodies);
      await changed(session);
      return numbers;
    });
    try {
      await writeCopy(session, context);
    } catch (error) {
      await appendFailed(session, context, receipts);
      throw error;
    }
    return receipts;
  });
}

/** Writes down that redactions of which receipts tell were not confirmed by the database. */
export function failRedactions(context: StoreContext, receipts: readonly number[]): Promise<void> {
  return withStore(context, async (session) => {
    await appendFailed(session, context, receipts);
    await writeCopy(session, context);
  });
}

function appendFailed(session: Session, context: StoreContext, receipts: readonly number[]): Promise<void> {
  return locked(session, async () => {
    const bodies = receipts.map((redaction): ReceiptBody => ({ kind: 'redactionFailed', redaction }));
    await append(session, context, bodies);
    await changed(session);
  });
}

async function append(
  session: Session,
  context: StoreContext,
  bodies: readonly ReceiptBody[],
): Promise<number[]> {
  const numbers: number[] = [];
  const store = await readStore(session, context);
  const [last] = await query(session, 'SELECT seq, digest FROM lethe_keys.receipt ORDER BY seq DESC LIMIT 1');
  let previous = last && { seq: Number(last.seq), digest: last.digest! };
  for (const body of bodies) {
    const at = new Date(store.now).toISOString();
    const receipt = makeReceipt(body, at, store.id, previous, context.signer);
    await query(
      session,
      'INSERT INTO lethe_keys.receipt (seq, text, digest, signature, public_key) VALUES ($1, $2, $3, $4, $5)',
      [receipt.seq, receipt.text, receipt.digest, receipt.signature, receipt.publicKey],
    );
    previous = receipt;
    numbers.push(receipt.seq);
  }
  return numbers;
}
