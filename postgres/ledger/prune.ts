import type { PruneOptions } from '../../ledger/types.js';
import { execute, query, type Session } from '../session.js';

/**
 * The runs of a job that may go: ended, older than what is kept, no table of the destination theirs any more, nothing
 * owed by them, and not the newest complete one.
 */
export async function prunableRuns(session: Session, options: PruneOptions): Promise<string[]> {
  const rows = await query(
    session,
    `SELECT run FROM (
       SELECT run, state, ended_at, row_number() OVER (ORDER BY started_at DESC) AS place,
              row_number() OVER (PARTITION BY state ORDER BY started_at DESC) AS place_in_state
       FROM lethe.run WHERE job = $1) AS r
     WHERE state IN ('complete', 'failed', 'cancelled', 'superseded')
       AND NOT (state = 'complete' AND place_in_state = 1)
       AND ($2::float8 IS NULL OR ended_at < clock_timestamp() - make_interval(secs => $2::float8))
       AND ($3::int IS NULL OR place > $3::int)
       AND NOT EXISTS (SELECT FROM lethe.epoch e WHERE e.run = r.run)
       AND NOT EXISTS (SELECT FROM lethe.ddl d WHERE d.run = r.run AND d.state <> 'restored')
     ORDER BY run`,
    [options.job, options.keepSeconds ?? null, options.keepRuns ?? null],
  );
  return rows.map((row) => row.run!);
}

/** Removes runs with all that the ledger has of them, in the caller's transaction. */
export async function pruneRuns(session: Session, runs: readonly string[]): Promise<void> {
  for (const table of ['quarantine', 'snapshot', 'ddl', 'run']) {
    await execute(session, `DELETE FROM lethe.${table} WHERE run = ANY ($1::uuid[])`, [runs]);
  }
}
