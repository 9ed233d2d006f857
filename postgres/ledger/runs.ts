import { LetheError } from '../../errors/errors.js';
import { statesBefore } from '../../ledger/states.js';
import type { Pins, RunRow, RunState } from '../../ledger/types.js';
import { query, type Session, type TextRow } from '../session.js';

const COLUMNS = `run, job, mode, state, namespace, workflow_id, report,
  to_char(started_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS started_at,
  to_char(seen_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS seen_at,
  to_char(ended_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ended_at,
  extract(epoch FROM clock_timestamp() - seen_at) AS silent`;

/** Records a new run, once: a second call with the same id changes nothing. */
export async function insertRun(
  session: Session,
  run: { run: string; job: string; mode: string; pins: Pins; namespace: string; workflowId: string },
): Promise<void> {
  await query(
    session,
    `INSERT INTO lethe.run (run, job, mode, state, pins, namespace, workflow_id)
     VALUES ($1, $2, $3, 'planned', $4, $5, $6) ON CONFLICT (run) DO NOTHING`,
    [run.run, run.job, run.mode, JSON.stringify(run.pins), run.namespace, run.workflowId],
  );
}

/** @throws LetheError `UnknownRun` when the ledger has no such run. */
export async function readRun(session: Session, run: string): Promise<RunRow> {
  const found = await findRun(session, run);
  if (!found) throw unknownRun(run);
  return found;
}

export async function findRun(session: Session, run: string): Promise<RunRow | undefined> {
  const [row] = await query(session, `SELECT ${COLUMNS} FROM lethe.run WHERE run = $1`, [run]);
  return row && toRun(row);
}

/** What the run pinned when it started; it never changes. */
export async function readPins(session: Session, run: string): Promise<Pins> {
  const [row] = await query(session, 'SELECT pins FROM lethe.run WHERE run = $1', [run]);
  if (!row) throw unknownRun(run);
  return JSON.parse(row.pins!) as Pins;
}

/** The newest runs first; of one job, or of all. */
export async function listRuns(session: Session, filter: { job?: string; limit: number }): Promise<RunRow[]> {
  const rows = await query(
    session,
    `SELECT ${COLUMNS} FROM lethe.run WHERE $1::text IS NULL OR job = $1 ORDER BY started_at DESC LIMIT $2::bigint`,
    [filter.job ?? null, String(filter.limit)],
  );
  return rows.map(toRun);
}

/**
 * Moves a run to a state, and says that its owner was seen.
 *
 * @throws LetheError `RunSuperseded` or `RunEnded` when its present state does not lead there.
 */
export async function advanceRun(session: Session, run: string, to: RunState): Promise<void> {
  const [moved] = await query(
    session,
    `UPDATE lethe.run SET state = $2, seen_at = clock_timestamp() WHERE run = $1 AND state = ANY ($3::text[]) RETURNING run`,
    [run, to, statesBefore(to)],
  );
  if (moved) return;
  const { state } = await readRun(session, run);
  if (state === 'superseded') {
    throw new LetheError(
      'RunSuperseded',
      `Run ${run} was superseded by a later run of the same tables; it writes no more.`,
    );
  }
  throw new LetheError('RunEnded', `Run ${run} is ${state} already and cannot become ${to}.`);
}

/** The owner of the run is alive. */
export async function touchRun(session: Session, run: string): Promise<void> {
  await query(session, 'UPDATE lethe.run SET seen_at = clock_timestamp() WHERE run = $1', [run]);
}

/** Open runs other than `run` that own one of the tables (ids in `lethe.epoch`). */
export async function openOwners(session: Session, run: string, ids: readonly number[]): Promise<RunRow[]> {
  const rows = await query(
    session,
    `SELECT ${COLUMNS} FROM lethe.run
     WHERE run <> $1 AND state IN ('planned', 'loading', 'settling', 'validating')
       AND run IN (SELECT run FROM lethe.epoch WHERE id = ANY ($2::int[]))
     ORDER BY started_at`,
    [run, ids],
  );
  return rows.map(toRun);
}

/** Ends runs whose tables another one has taken over. */
export async function supersede(session: Session, runs: readonly string[]): Promise<void> {
  await query(
    session,
    `UPDATE lethe.run SET state = 'superseded', ended_at = clock_timestamp()
     WHERE run = ANY ($1::uuid[]) AND state = ANY ($2::text[])`,
    [runs, statesBefore('superseded')],
  );
}

/** Ends a run with its report and the signature over it. Ending it again the same way changes nothing. */
export async function endRun(
  session: Session,
  run: string,
  end: { state: RunState; report: unknown; signature: string; publicKey: string },
): Promise<void> {
  await query(
    session,
    `UPDATE lethe.run SET state = $2, ended_at = coalesce(ended_at, clock_timestamp()), seen_at = clock_timestamp(),
       report = $3, signature = $4, public_key = $5
     WHERE run = $1 AND state = ANY ($6::text[])`,
    [run, end.state, JSON.stringify(end.report), end.signature, end.publicKey, statesBefore(end.state)],
  );
}

export function unknownRun(run: string): LetheError {
  return new LetheError(
    'UnknownRun',
    `This destination's ledger has no run ${run}. \`lethe runs\` lists the known ones.`,
  );
}

function toRun(row: TextRow): RunRow {
  return {
    run: row.run!,
    job: row.job!,
    mode: row.mode as RunRow['mode'],
    state: row.state as RunState,
    namespace: row.namespace!,
    workflowId: row.workflow_id!,
    startedAt: row.started_at!,
    seenAt: row.seen_at!,
    silentSeconds: Number(row.silent),
    endedAt: row.ended_at ?? undefined,
    report: row.report ? JSON.parse(row.report) : undefined,
  };
}
