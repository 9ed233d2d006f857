import type { CheckRecord, CheckResult } from '../../ledger/checks.js';
import { query, type Session } from '../session.js';

/** Keeps what a run was found to be. */
export async function insertCheckResult(
  session: Session,
  record: Omit<CheckRecord, 'checkedAt'>,
  /** At a run's end: 0, or the number of its replay. The check of a segment is kept once, however often it is tried. */
  segment?: number,
): Promise<void> {
  await query(
    session,
    `INSERT INTO lethe.check_result (run, job, origin, ok, seconds, source_snapshot, checks, distributions, segment)
     VALUES ($1, $2, $3, $4, $5::float8, $6, $7::jsonb, $8::jsonb, $9::int)
     ON CONFLICT (run, segment) DO UPDATE SET checked_at = EXCLUDED.checked_at, ok = EXCLUDED.ok, seconds = EXCLUDED.seconds,
       source_snapshot = EXCLUDED.source_snapshot, checks = EXCLUDED.checks, distributions = EXCLUDED.distributions`,
    [
      record.run,
      record.job,
      record.origin,
      record.ok,
      record.seconds,
      record.sourceSnapshot ?? null,
      JSON.stringify(record.checks),
      JSON.stringify(record.distributions),
      segment ?? null,
    ],
  );
}

/** The newest first; of a job, or of one run. */
export async function listCheckResults(
  session: Session,
  filter: { job?: string; run?: string; limit: number },
): Promise<CheckRecord[]> {
  const rows = await query(
    session,
    `SELECT run, job, to_char(checked_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS checked_at, origin, ok, seconds,
            source_snapshot, checks, distributions
       FROM lethe.check_result
      WHERE ($1::text IS NULL OR job = $1) AND ($2::uuid IS NULL OR run = $2::uuid)
      ORDER BY id DESC LIMIT $3::bigint`,
    [filter.job ?? null, filter.run ?? null, String(filter.limit)],
  );
  return rows.map((row) => ({
    run: row.run!,
    job: row.job!,
    checkedAt: row.checked_at!,
    origin: row.origin as CheckRecord['origin'],
    ok: row.ok === 't',
    seconds: Number(row.seconds),
    ...(row.source_snapshot != null && { sourceSnapshot: row.source_snapshot }),
    checks: JSON.parse(row.checks!) as CheckResult[],
    distributions: JSON.parse(row.distributions!) as unknown[],
  }));
}

/** The state of the source that the check at a run's end read; undefined where none was. */
export async function snapshotOfRun(session: Session, run: string): Promise<string | undefined> {
  const [row] = await query(
    session,
    `SELECT source_snapshot FROM lethe.check_result
      WHERE run = $1 AND origin = 'run' AND source_snapshot IS NOT NULL ORDER BY id LIMIT 1`,
    [run],
  );
  return row?.source_snapshot ?? undefined;
}

/** Tables of a run (plan ids) with batches that were read under another generation of the snapshot. */
export async function otherGenerations(session: Session, run: string, generation: number): Promise<number[]> {
  const rows = await query(
    session,
    'SELECT DISTINCT table_id FROM lethe.batch WHERE run = $1 AND generation <> $2::int ORDER BY 1',
    [run, generation],
  );
  return rows.map((row) => Number(row.table_id));
}
