import { LetheError } from '../../errors/errors.js';
import { isLockTimeout } from '../fence.js';
import { execute, type Session } from '../session.js';

/** How long DDL waits for a lock before it gives up, to be tried again. Milliseconds. */
const PATIENCE_MS = 60_000;

/**
 * Runs DDL of the present transaction so that it does not wait for ever for somebody's open transaction: everybody else
 * would queue behind it.
 *
 * @param what The tables, for the error.
 * @throws LetheError `Unreachable`, which is tried again, when a lock was not to be had.
 */
export async function withPatience<T>(
  session: Session,
  what: string,
  body: () => Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  await execute(session, `SET LOCAL lock_timeout = ${patienceMs}`);
  try {
    const result = await body();
    await execute(session, 'SET LOCAL lock_timeout = 0');
    return result;
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    throw lockNotHad(what, patienceMs);
  }
}

/** Why DDL gave up. Tried again. */
export function lockNotHad(what: string, patienceMs: number): LetheError {
  return new LetheError(
    'Unreachable',
    `A lock on ${what} of the destination was not to be had for ${Math.round(patienceMs / 1000)} s: another session has an open transaction there. End it (pg_stat_activity, pg_terminate_backend); Lethe tries again.`,
  );
}
