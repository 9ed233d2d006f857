import { isLockTimeout } from '../fence.js';
import { query, type Session, withTransaction } from '../session.js';

/** Identifies a batch of a run. */
export interface BatchId {
  readonly run: string;
  readonly partition: number;
  readonly batch: number;
}

/** How a session deals with another attempt at the same work. */
export interface TwinGuard {
  /** Milliseconds to wait for it before its backends are terminated. */
  readonly staleAfterMs: number;
  /** `lethe:<run>/<unit>/`: what the names of all attempts begin with. */
  readonly prefix: string;
}

const ROUNDS = 10;

/**
 * Runs `body` in a transaction that may have to wait for another attempt: a frozen one (its worker is gone, its COPY
 * waits for ever and holds its locks) is terminated after the guard's time.
 */
export async function withoutTwin<T>(
  session: Session,
  id: BatchId,
  guard: TwinGuard,
  body: () => Promise<T>,
): Promise<T> {
  for (let round = 1; ; round++) {
    try {
      return await withTransaction(session, async () => {
        await query(session, `SET LOCAL synchronous_commit = off`);
        await query(session, `SET LOCAL lock_timeout = ${Math.ceil(guard.staleAfterMs)}`);
        return body();
      });
    } catch (error) {
      if (!isLockTimeout(error) || round === ROUNDS) throw error;
      await terminateTwins(session, id, guard);
    }
  }
}

/** Ends other sessions of the same work. */
export async function terminateTwins(session: Session, id: BatchId, guard: TwinGuard): Promise<void> {
  await query(
    session,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND (starts_with(application_name, $1)
         OR application_name = (SELECT backend FROM lethe.batch WHERE run = $2 AND partition = $3::int AND batch = $4::int))`,
    [guard.prefix, id.run, id.partition, id.batch],
  );
}
