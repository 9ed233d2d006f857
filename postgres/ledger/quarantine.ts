import { query, type Session } from '../session.js';

/** Ends the message of a row that settle removed and the source has not any more: its `key` is none of the source. */
export const GONE = 'The source has it no more.';

/** Ends the message of a row that settle removed and the source has, but not as it was copied. */
export const CHANGED = 'The source has changed it since.';

/** Patterns of the messages of both. */
export const OUTDATED: readonly string[] = [`%${GONE}`, `%${CHANGED}`];

/** A row for `lethe.quarantine`; the key is sealed, its hash keyed. Never a value. */
export interface QuarantinedRow {
  readonly key: string;
  readonly keyHash: string;
  readonly code: string;
  readonly constraint?: string;
  readonly column?: string;
  readonly rule?: string;
  readonly message: string;
  /** Its parent is missing; it may be replayed when the parent is there. */
  readonly waitsForParent?: boolean;
}

/** Rows that settle removed belong to no batch: their partition and batch are null, and `removed` counts how often. */
export async function insertQuarantine(
  session: Session,
  id: { readonly run: string; readonly partition: number | null; readonly batch: number | null },
  table: number,
  rows: readonly QuarantinedRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const removed = id.partition === null ? 1 : 0;
  const column = (of: (row: QuarantinedRow) => string | undefined) => rows.map((row) => of(row) ?? null);
  await query(
    session,
    `INSERT INTO lethe.quarantine (run, table_id, partition, batch, key, key_hash, code, constraint_name, column_name, rule, message, waits_for_parent, removed)
     SELECT $1, $2::int, $3::int, $4::int, u.*, $13::int
     FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[]) AS u
     ON CONFLICT (run, table_id, key_hash) DO UPDATE SET partition = excluded.partition, batch = excluded.batch,
       code = excluded.code, constraint_name = excluded.constraint_name, column_name = excluded.column_name,
       rule = excluded.rule, message = excluded.message, waits_for_parent = excluded.waits_for_parent,
       removed = lethe.quarantine.removed + excluded.removed, replayed_at = NULL, outcome = NULL`,
    [
      id.run,
      table,
      id.partition,
      id.batch,
      column((row) => row.key),
      column((row) => row.keyHash),
      column((row) => row.code),
      column((row) => row.constraint),
      column((row) => row.column),
      column((row) => row.rule),
      column((row) => row.message),
      rows.map((row) => row.waitsForParent ?? false),
      removed,
    ],
  );
}

/** A quarantined row that is tried again. */
export interface RetriedRow {
  readonly id: string;
  /** Sealed. */
  readonly key: string;
  readonly keyHash: string;
  readonly message: string;
}

/** Which rows of a table a pass of a replay is about; see `QuarantinedWork`. */
export interface RetryFilter {
  readonly pass: number;
  readonly batches?: readonly { readonly partition: number; readonly batch: number }[];
  readonly waiting: boolean;
}

/** The next rows of a table that this pass has not tried, locked until the transaction ends. A twin gets others, or none. */
export async function lockUntried(
  session: Session,
  run: string,
  table: number,
  filter: RetryFilter,
  limit: number,
): Promise<RetriedRow[]> {
  const rows = await query(
    session,
    `SELECT id, key, key_hash, message FROM lethe.quarantine
     WHERE run = $1 AND table_id = $2::int AND replayed_at IS NULL AND tried < $3::int
       AND (waits_for_parent OR message LIKE ANY ($8::text[]) OR NOT $4::boolean)
       AND (waits_for_parent OR $5::int[] IS NULL
            OR (partition, batch) IN (SELECT * FROM unnest($5::int[], $6::int[])))
     ORDER BY id LIMIT $7::int FOR UPDATE`,
    [
      run,
      table,
      filter.pass,
      filter.waiting,
      filter.batches?.map(({ partition }) => partition) ?? null,
      filter.batches?.map(({ batch }) => batch) ?? null,
      limit,
      [...OUTDATED],
    ],
  );
  return rows.map((row) => ({
    id: row.id!,
    key: row.key!,
    keyHash: row.key_hash!,
    message: row.message!,
  }));
}

/** Says that a pass tries rows: they leave the quarantine, unless `insertQuarantine` brings them back. */
export async function markTried(
  session: Session,
  ids: readonly string[],
  pass: number,
  outcome: 'copied' | 'gone' | null,
): Promise<void> {
  await query(
    session,
    `UPDATE lethe.quarantine SET tried = $2::int, outcome = $3::text,
       replayed_at = CASE WHEN $3::text IS NOT NULL THEN clock_timestamp() END
     WHERE id = ANY ($1::bigint[])`,
    [`{${ids.join(',')}}`, pass, outcome],
  );
}

/** What became of a table's rows in one pass, over all attempts at it. */
export async function countTried(
  session: Session,
  run: string,
  table: number,
  pass: number,
): Promise<{ copied: number; gone: number }> {
  const [row] = await query(
    session,
    `SELECT count(*) FILTER (WHERE outcome = 'copied') AS copied, count(*) FILTER (WHERE outcome = 'gone') AS gone
     FROM lethe.quarantine WHERE run = $1 AND table_id = $2::int AND tried = $3::int AND replayed_at IS NOT NULL`,
    [run, table, pass],
  );
  return { copied: Number(row?.copied), gone: Number(row?.gone) };
}

/** The last pass that tried a row of the run. */
export async function lastPass(session: Session, run: string): Promise<number> {
  const [row] = await query(session, 'SELECT max(tried) AS pass FROM lethe.quarantine WHERE run = $1', [run]);
  return Number(row?.pass ?? 0);
}

/** A row in quarantine, as its parents and children find it. */
export interface HeldRow {
  readonly id: string;
  readonly waiting: boolean;
}

/** Those of the keyed hashes whose rows are in quarantine. */
export async function heldInQuarantine(
  session: Session,
  run: string,
  table: number,
  hashes: readonly string[],
): Promise<Map<string, HeldRow>> {
  const rows = await query(
    session,
    `SELECT id, key_hash, waits_for_parent AS waiting FROM lethe.quarantine
     WHERE run = $1 AND table_id = $2::int AND replayed_at IS NULL AND key_hash = ANY ($3::text[])`,
    [run, table, [...hashes]],
  );
  return new Map(rows.map((row) => [row.key_hash!, { id: row.id!, waiting: row.waiting === 't' }]));
}

/** Rows of a table that wait for their parent. */
export async function countWaiting(session: Session, run: string, table: number): Promise<number> {
  const [row] = await query(
    session,
    `SELECT count(*) AS count FROM lethe.quarantine
     WHERE run = $1 AND table_id = $2::int AND replayed_at IS NULL AND waits_for_parent`,
    [run, table],
  );
  return Number(row?.count);
}

/** Rows of a table that the run has in quarantine by now. */
export async function countQuarantined(session: Session, run: string, table: number): Promise<number> {
  const [row] = await query(
    session,
    'SELECT count(*) AS count FROM lethe.quarantine WHERE run = $1 AND table_id = $2::int AND replayed_at IS NULL',
    [run, table],
  );
  return Number(row?.count);
}

/** Forgets the rows of a table that is read again from its start. */
export async function dropQuarantined(session: Session, run: string, table: number): Promise<void> {
  await query(session, 'DELETE FROM lethe.quarantine WHERE run = $1 AND table_id = $2::int', [run, table]);
}
