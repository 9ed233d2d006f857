import { LetheError } from '../errors/errors.js';
import { quoteLiteral } from './identifiers.js';
import { query, type Session } from './session.js';

/**
 * SQLSTATEs of a snapshot that is gone, or was never there: undefined object, invalid parameter, wrong state; and of
 * one that another database of the cluster exported.
 */
const NO_SNAPSHOT = new Set(['42704', '22023', '55000', '0A000']);

/**
 * Begins a read-only transaction under the first of the exported snapshots that still exists; all show the same. Under
 * a state of its own with `now`.
 *
 * @throws LetheError `SnapshotLost` when none does.
 */
export async function beginUnderSnapshot(
  session: Session,
  snapshots: readonly string[] | 'now',
): Promise<void> {
  if (snapshots === 'now') {
    await query(session, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await query(session, 'SET LOCAL max_parallel_workers_per_gather = 0');
    return;
  }
  for (const snapshot of snapshots) {
    await query(session, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      await query(session, `SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot)}`);
      await query(session, 'SET LOCAL max_parallel_workers_per_gather = 0');
      return;
    } catch (error) {
      if (session.lost) throw error;
      await query(session, 'ROLLBACK');
      if (!(error instanceof LetheError) || !NO_SNAPSHOT.has(String(error.details.code))) throw error;
    }
  }
  throw new LetheError(
    'SnapshotLost',
    "The source's snapshot is gone: its holders ended. The run waits for a new one and goes on with what is left.",
  );
}

/** Runs `body` under an exported snapshot, and ends the transaction. */
export async function underSnapshot<T>(
  session: Session,
  snapshots: readonly string[],
  body: () => Promise<T>,
): Promise<T> {
  await beginUnderSnapshot(session, snapshots);
  try {
    return await body();
  } finally {
    // It only read. Where the session is lost, so is the transaction.
    await query(session, 'ROLLBACK').catch(() => undefined);
  }
}
