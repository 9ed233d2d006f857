import { LetheError } from '../errors/errors.js';
import type { TableName } from '../plan/catalog.js';
import { query, type Session } from './session.js';

/** First key of the advisory locks of tables: "leth" in ASCII. The second is the id in `lethe.epoch`. */
export const FENCE_CLASS = 0x6c657468;

/** The right of a run to write one table; a later start, take-over, replay or restore raises `n` and ends it. */
export interface Epoch {
  /** Of `lethe.epoch`. */
  readonly id: number;
  readonly run: string;
  readonly n: string;
}

/** Milliseconds that a starter waits for writers before it ends the backends of the run it takes over from. */
const PATIENCE_MS = 15_000;
const ROUNDS = 20;
/** In place of a table's id, which begin at 1: the lock of those who start a run. */
const STARTERS = 0;

/**
 * For writers, first thing in each transaction that writes the table: takes the shared lock, then checks in a second
 * statement, which sees what was committed while the first waited, that the epoch is still ours. The lock queues
 * fairly behind a starter; a row lock would starve it, and deadlock with COPY.
 *
 * @throws LetheError `RunSuperseded` when another run, or a later epoch of this one, owns the table.
 */
export async function fence(session: Session, epoch: Epoch): Promise<void> {
  await query(session, 'SELECT pg_advisory_xact_lock_shared($1::int, $2::int)', [FENCE_CLASS, epoch.id]);
  const [row] = await query(session, 'SELECT run, n FROM lethe.epoch WHERE id = $1', [epoch.id]);
  if (row?.run === epoch.run && row.n === epoch.n) return;
  throw new LetheError(
    'RunSuperseded',
    `Run ${epoch.run} no longer owns this table (epoch ${epoch.n}): ${row?.run ? `run ${row.run} took it over (epoch ${row.n})` : 'its epoch is gone'}. Nothing more is written by it.`,
    { run: epoch.run, by: row?.run ?? null },
  );
}

/** Makes sure that the tables have a row in `lethe.epoch`; returns their ids in the order of `tables`. */
export async function registerTables(session: Session, tables: readonly TableName[]): Promise<number[]> {
  const wanted = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)];
  await query(
    session,
    `INSERT INTO lethe.epoch (schema_name, table_name) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT DO NOTHING`,
    wanted,
  );
  const rows = await query(
    session,
    `SELECT id FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(schema_name, table_name, i)
     JOIN lethe.epoch USING (schema_name, table_name) ORDER BY i`,
    wanted,
  );
  return rows.map((row) => Number(row.id));
}

export interface TakeOptions {
  /** Milliseconds to wait for writers of the old run before their backends are terminated. Default 15,000. */
  readonly patienceMs?: number;
}

/**
 * For starters (a run that begins or takes over, a replay, a restore): takes the tables over inside the caller's
 * transaction and returns their new epochs. Locks in ascending id, so that two starters cannot deadlock; call it before
 * any table lock. Writers that hold a table longer than the patience are ended by the name of their session.
 */
export async function takeEpochs(
  session: Session,
  run: string,
  ids: readonly number[],
  options: TakeOptions = {},
): Promise<Epoch[]> {
  const patience = options.patienceMs ?? PATIENCE_MS;
  const ascending = [...new Set(ids)].sort((a, b) => a - b);
  for (const id of ascending) await lockTable(session, id, patience);
  const rows = await query(
    session,
    'UPDATE lethe.epoch SET run = $1, n = n + 1 WHERE id = ANY ($2::int[]) RETURNING id, n',
    [run, ascending],
  );
  if (rows.length !== ascending.length) {
    throw new LetheError('Internal', 'A table to take over is not registered in lethe.epoch.');
  }
  return rows.map((row) => ({ id: Number(row.id), run, n: row.n! })).sort((a, b) => a.id - b.id);
}

/**
 * For starters, first thing in the transaction in which they look for the owners of tables and become one: there is one
 * such transaction at a time. A session that holds the others up for three times the patience is ended; its worker is
 * frozen, or waits for somebody's lock and may try again.
 */
export async function lockStarters(session: Session, patienceMs = PATIENCE_MS): Promise<void> {
  await lockTable(session, STARTERS, 3 * patienceMs);
}

/** The present epochs of a run's tables, by id in `lethe.epoch`: what its writers fence with. */
export async function readEpochs(session: Session, run: string): Promise<Map<number, Epoch>> {
  const rows = await query(session, 'SELECT id, n FROM lethe.epoch WHERE run = $1', [run]);
  return new Map(rows.map((row) => [Number(row.id), { id: Number(row.id), run, n: row.n! }]));
}

async function lockTable(session: Session, id: number, patience: number): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    if (await lockWithin(session, id, patience)) return;
    await terminateWriters(session, id);
  }
  throw new LetheError(
    'DestinationBusy',
    'Another session holds a table of this job and cannot be ended by this role. End it, or grant pg_signal_backend.',
  );
}

async function lockWithin(session: Session, id: number, patience: number): Promise<boolean> {
  await query(session, 'SAVEPOINT lethe_lock');
  try {
    await query(session, `SET LOCAL lock_timeout = ${Math.ceil(patience)}`);
    await query(session, 'SELECT pg_advisory_xact_lock($1::int, $2::int)', [FENCE_CLASS, id]);
    await query(session, 'SET LOCAL lock_timeout = 0');
    await query(session, 'RELEASE lethe_lock');
    return true;
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    await query(session, 'ROLLBACK TO lethe_lock; RELEASE lethe_lock');
    return false;
  }
}

/** Ends the sessions of Lethe that hold the table's lock. They were given their time; their work is rolled back. */
async function terminateWriters(session: Session, id: number): Promise<void> {
  await query(
    session,
    `SELECT pg_terminate_backend(a.pid)
       FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid
        AND l.objsubid = 2 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND a.application_name LIKE 'lethe:%' AND a.pid <> pg_backend_pid()`,
    [FENCE_CLASS, id],
  );
}

/** Whether a statement gave up waiting for a lock (`lock_timeout`). */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof LetheError && error.details.code === '55P03';
}
