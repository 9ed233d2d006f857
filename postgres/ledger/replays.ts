import { REPLAY_PASSES } from '../../ledger/states.js';
import type { NewReplay } from '../../ledger/types.js';
import type { Plan } from '../../plan/plan.js';
import { query, type Session } from '../session.js';
import { OUTDATED } from './quarantine.js';

/** The replay that this workflow execution began, if it did. */
export async function findReplay(
  session: Session,
  run: string,
  execution: string,
): Promise<{ n: number; again: number[] } | undefined> {
  const [row] = await query(
    session,
    'SELECT n, to_jsonb(again) AS again FROM lethe.replay WHERE run = $1 AND execution = $2',
    [run, execution],
  );
  return row && { n: Number(row.n), again: JSON.parse(row.again!) as number[] };
}

/** How often the run was replayed. */
export async function countReplays(session: Session, run: string): Promise<number> {
  const [row] = await query(session, 'SELECT count(*) AS n FROM lethe.replay WHERE run = $1', [run]);
  return Number(row?.n);
}

/**
 * Opens a run again for a replay, in the caller's transaction, and returns the replay's number. The run's report, if it
 * ended with one, is kept beside it: the segment that this one follows. Snapshots of earlier days are over.
 */
export async function insertReplay(
  session: Session,
  replay: NewReplay & {
    /** Ids of tables that are loaded again whole, since the corrected job changed what others depend on. */
    readonly again: readonly number[];
  },
): Promise<number> {
  const { run, namespace, workflowId, execution, plan, jobText, again } = replay;
  const [row] = await query(
    session,
    `INSERT INTO lethe.replay (run, n, namespace, workflow_id, execution, plan, job_text, again, report, signature, public_key)
     SELECT run, 1 + (SELECT count(*) FROM lethe.replay p WHERE p.run = r.run), $2, $3, $4, $5, $6, $7::int[],
            report, signature, public_key
       FROM lethe.run r WHERE run = $1
     RETURNING n`,
    [run, namespace, workflowId, execution, JSON.stringify(plan), jobText, [...again]],
  );
  await query(
    session,
    `UPDATE lethe.run SET state = 'loading', namespace = $2, workflow_id = $3, seen_at = clock_timestamp(), ended_at = NULL
     WHERE run = $1`,
    [run, namespace, workflowId],
  );
  await query(session, 'UPDATE lethe.snapshot SET lost = clock_timestamp() WHERE run = $1 AND lost IS NULL', [
    run,
  ]);
  return Number(row?.n);
}

/**
 * In the transaction that empties the tables which a replay loads again: its plan is the run's from then on. False for
 * a replay that has no such tables.
 */
export async function openAgain(session: Session, run: string, n: number): Promise<boolean> {
  const rows = await query(
    session,
    `UPDATE lethe.replay SET opened = true WHERE run = $1 AND n = $2::int AND again <> '{}' RETURNING n`,
    [run, n],
  );
  return rows.length > 0;
}

/** What the run goes by since a replay has loaded tables of it again by a corrected job; undefined when none has. */
export async function readCorrected(
  session: Session,
  run: string,
): Promise<{ plan: Plan; jobText: string } | undefined> {
  const [row] = await query(
    session,
    'SELECT plan, job_text FROM lethe.replay WHERE run = $1 AND opened ORDER BY n DESC LIMIT 1',
    [run],
  );
  return row && { plan: JSON.parse(row.plan!) as Plan, jobText: row.job_text! };
}

/** What a replay works by. */
export async function readReplay(
  session: Session,
  run: string,
  n: number,
): Promise<{ plan: Plan; jobText: string } | undefined> {
  const [row] = await query(
    session,
    'SELECT plan, job_text FROM lethe.replay WHERE run = $1 AND n = $2::int',
    [run, n],
  );
  return row && { plan: JSON.parse(row.plan!) as Plan, jobText: row.job_text! };
}

/** The signature of the report that a replay follows; undefined where that was never signed. */
export async function previousSignature(
  session: Session,
  run: string,
  n: number,
): Promise<string | undefined> {
  const [row] = await query(
    session,
    `SELECT signature FROM lethe.replay WHERE run = $1 AND n <= $2::int AND signature IS NOT NULL ORDER BY n DESC LIMIT 1`,
    [run, n],
  );
  return row?.signature ?? undefined;
}

/** What is left to do of a table of a run. */
export interface TableRest {
  readonly table: number;
  /** Rows in quarantine; of those, such as wait for a parent. */
  readonly quarantined: number;
  readonly waiting: number;
  /** Of those in quarantine, such as the source had no more, or had changed, when they were removed. */
  readonly outdated: number;
  /** Every partition is done. */
  readonly complete: boolean;
  /** Rows that the ledger says were written and not removed again. */
  readonly written: number;
}

/** What is left to do of a run, by table, for those tables that the ledger knows anything about. */
export async function readRest(session: Session, run: string): Promise<TableRest[]> {
  const rows = await query(
    session,
    `SELECT t.table_id, coalesce(p.done, false) AS complete, coalesce(q.left, 0) AS quarantined,
            coalesce(q.waiting, 0) AS waiting, coalesce(q.outdated, 0) AS outdated,
            coalesce(b.rows, 0) - coalesce(q.removed, 0) AS written
     FROM (SELECT table_id FROM lethe.partition WHERE run = $1 UNION SELECT table_id FROM lethe.quarantine WHERE run = $1) t
     LEFT JOIN (SELECT table_id, bool_and(done) AS done FROM lethe.partition WHERE run = $1 GROUP BY table_id) p USING (table_id)
     LEFT JOIN (SELECT table_id, sum(rows) AS rows FROM lethe.batch WHERE run = $1 AND state = 'committed' GROUP BY table_id) b
       USING (table_id)
     LEFT JOIN (SELECT table_id, count(*) FILTER (WHERE replayed_at IS NULL) AS left, sum(removed) AS removed,
                       count(*) FILTER (WHERE replayed_at IS NULL AND waits_for_parent) AS waiting,
                       count(*) FILTER (WHERE replayed_at IS NULL AND message LIKE ANY ($2::text[])) AS outdated
                FROM lethe.quarantine WHERE run = $1 GROUP BY table_id) q USING (table_id)
     ORDER BY t.table_id`,
    [run, [...OUTDATED]],
  );
  return rows.map((row) => ({
    table: Number(row.table_id),
    outdated: Number(row.outdated),
    quarantined: Number(row.quarantined),
    waiting: Number(row.waiting),
    complete: row.complete === 't',
    written: Number(row.written),
  }));
}

/** Rows that were copied one by one, by their keys, beside those of the quarantine, and rows that the source had no more. */
export async function countAlone(
  session: Session,
  run: string,
  replay: number,
): Promise<{ table: number; along: number; gone: number }[]> {
  const rows = await query(
    session,
    `SELECT t.table_id, coalesce(c.rows, 0) - coalesce(q.copied, 0) AS along, coalesce(q.gone, 0) AS gone
     FROM (SELECT DISTINCT table_id FROM lethe.partition WHERE run = $1) t
     LEFT JOIN (SELECT p.table_id, sum(b.rows) AS rows FROM lethe.partition p JOIN lethe.batch b USING (run, partition)
                WHERE run = $1 AND p.replay = $2::int GROUP BY p.table_id) c USING (table_id)
     LEFT JOIN (SELECT table_id, count(*) FILTER (WHERE outcome = 'copied') AS copied,
                       count(*) FILTER (WHERE outcome = 'gone') AS gone
                FROM lethe.quarantine WHERE run = $1 AND tried > $3::int AND tried < $4::int GROUP BY table_id) q
       USING (table_id)
     ORDER BY t.table_id`,
    [run, replay, replay * REPLAY_PASSES - 1, (replay + 1) * REPLAY_PASSES],
  );
  return rows.map((row) => ({
    table: Number(row.table_id),
    along: Number(row.along),
    gone: Number(row.gone),
  }));
}
