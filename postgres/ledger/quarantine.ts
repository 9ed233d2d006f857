import { query, type Session } from '../session.js';

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

/** Rows that settle removed belong to no batch: their partition and batch are null. */
export async function insertQuarantine(
  session: Session,
  id: { readonly run: string; readonly partition: number | null; readonly batch: number | null },
  table: number,
  rows: readonly QuarantinedRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const column = (of: (row: QuarantinedRow) => string | undefined) => rows.map((row) => of(row) ?? null);
  await query(
    session,
    `INSERT INTO lethe.quarantine (run, table_id, partition, batch, key, key_hash, code, constraint_name, column_name, rule, message, waits_for_parent)
     SELECT $1, $2::int, $3::int, $4::int, u.*
     FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[]) AS u
     ON CONFLICT (run, table_id, key_hash) DO UPDATE SET partition = excluded.partition, batch = excluded.batch,
       code = excluded.code, constraint_name = excluded.constraint_name, column_name = excluded.column_name,
       rule = excluded.rule, message = excluded.message, waits_for_parent = excluded.waits_for_parent, replayed_at = NULL`,
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
    ],
  );
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
