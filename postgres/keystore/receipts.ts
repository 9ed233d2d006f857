import { LetheError } from '../../errors/errors.js';
import type { Grade } from '../../retention/keys/policy.js';
import {
  type Export,
  makeReceipt,
  type Receipt,
  type ReceiptBody,
  type RedactionReceipt,
} from '../../retention/keys/receipts.js';
import { query, type Session } from '../session.js';
import { locked, type StoreContext, withStore } from './context.js';
import { writeCopy } from './copy.js';
import type { DestructionRow } from './destruction.js';
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

/**
 * Writes down that the tokens of a subject were rewritten while their day keys live on.
 * @param redaction Names and counts only; `what` says which table and columns.
 */
export function recordRedaction(
  context: StoreContext,
  redaction: Omit<RedactionReceipt, 'kind'>,
): Promise<void> {
  return withStore(context, async (session) => {
    if (!(await readPolicies(session)).has(redaction.policy))
      throw new LetheError('RetentionInvalid', `The key store has no policy "${redaction.policy}".`);
    await locked(session, async () => {
      await append(session, context, [{ kind: 'redaction', ...redaction }]);
      await changed(session);
    });
    await writeCopy(session, context);
  });
}

async function append(
  session: Session,
  context: StoreContext,
  bodies: readonly ReceiptBody[],
): Promise<void> {
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
  }
}
