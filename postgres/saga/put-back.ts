import type { LetheError } from '../../errors/errors.js';
import type { TableName } from '../../plan/catalog.js';
import { quoteIdent } from '../identifiers.js';
import { lockTaken, markTaken, PHASE, type TakenRow, takenTable } from '../ledger/ddl.js';
import { execute, query, type Session, withTransaction } from '../session.js';
import { withPatience } from './patience.js';

/**
 * Proves, first thing in a transaction, that the run still owns those of the tables that it has an epoch of; tables
 * outside the job have none.
 */
export type Fence = (session: Session, tables: readonly TableName[]) => Promise<void>;

/**
 * Puts things back in one transaction that also crosses them off: after a kill they are either back and crossed off, or
 * still open. A twin that got there first is waited for and then found done. A thing that somebody made again by hand,
 * or whose table is gone, is crossed off as it is.
 *
 * @throws LetheError with the SQLSTATE in `details.code`, e.g. 23505 where rows stand in the way: see `postgres/settle`.
 */
export async function restoreRows(session: Session, fence: Fence, rows: readonly TakenRow[]): Promise<void> {
  if (rows.length === 0) return;
  await withTransaction(session, async () => {
    await fence(session, rows.flatMap(tablesOf));
    const open = await lockTaken(
      session,
      rows.map((row) => row.id),
    );
    const there = await whatIsThere(session, rows);
    const statements = rows
      .filter((row) => open.has(row.id) && there.get(row.id) !== 'done')
      .flatMap((row) => (there.has(row.id) ? [validation(row)] : row.restore));
    if (statements.length > 0) {
      await generousMemory(session);
      const locks = lockConstrained(rows.filter((row) => open.has(row.id) && !there.has(row.id)));
      await withPatience(session, namesOf(rows), () =>
        execute(session, [...locks, ...statements].join(';\n')),
      );
    }
    await markTaken(session, [...open], 'restored');
  });
}

/**
 * Tries all rows in one transaction, which is cheap for small tables, and one by one where rows of the destination are
 * in the way. Returns the things that these refuse.
 */
export async function restoreTogether(
  session: Session,
  fence: Fence,
  rows: readonly TakenRow[],
): Promise<TakenRow[]> {
  const refused: TakenRow[] = [];
  try {
    await restoreRows(session, fence, rows);
    return refused;
  } catch (error) {
    if (!isViolation(error)) throw error;
    if (rows.length === 1) return [...rows];
  }
  for (const row of rows) refused.push(...(await restoreTogether(session, fence, [row])));
  return refused;
}

/** Things of one table and kind of work together, in the order of restoration. */
export function groupByTable(rows: readonly TakenRow[]): TakenRow[][] {
  const groups = new Map<string, TakenRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.phase >= PHASE.foreignKey ? row.phase : 0, row.schema, row.table]);
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return [...groups.values()].sort((a, b) => a[0]!.phase - b[0]!.phase);
}

/**
 * Adds a key that rows violate as NOT VALID, so that new rows are checked at least, and leaves it owed. A unique index
 * has no such state: it stays away. Says what was done.
 */
export async function leaveOwed(session: Session, fence: Fence, row: TakenRow): Promise<void> {
  await withTransaction(session, async () => {
    await fence(session, tablesOf(row));
    const open = await lockTaken(session, [row.id]);
    if (!open.has(row.id)) return;
    const there = (await whatIsThere(session, [row])).get(row.id);
    // A partitioned table cannot have a key that is NOT VALID before PostgreSQL 18.
    if (!there && row.facts.foreignKey && !row.facts.foreignKey.partitioned) {
      await execute(session, row.restore.map((statement) => notValid(statement, row)).join(';\n'));
    }
    await markTaken(session, [row.id], there === 'done' ? 'restored' : 'owed');
  });
}

/** Rows, not the surroundings, are in the way: a duplicate, an exclusion, a missing parent. */
export function isViolation(error: unknown): error is LetheError {
  const code = (error as LetheError | undefined)?.details?.code;
  return code === '23505' || code === '23P01' || code === '23503';
}

/**
 * Making a constraint of an index takes the table for itself at the very end: it is taken first, so that nobody is
 * waited for after the index was built.
 */
function lockConstrained(rows: readonly TakenRow[]): string[] {
  const tables = new Set(rows.filter(({ kind }) => kind === 'constraint').map(takenTable));
  return [...tables].map((table) => `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
}

function namesOf(rows: readonly TakenRow[]): string {
  const names = [...new Set(rows.map(({ schema, table }) => `${schema}.${table}`))];
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and others` : names.join(', ');
}

/** The two whole tables of a foreign key; none for anything else. */
export function keyTables(row: TakenRow): TableName[] {
  const key = row.facts.foreignKey;
  if (!key) return [];
  return [key.root, key.parentRoot];
}

function tablesOf(row: TakenRow): TableName[] {
  return [{ schema: row.schema, name: row.table }, ...keyTables(row)];
}

function validation(row: TakenRow): string {
  return `ALTER TABLE ${takenTable(row)} VALIDATE CONSTRAINT ${quoteIdent(row.object)}`;
}

function notValid(statement: string, row: TakenRow): string {
  const definition = row.facts.foreignKey?.definition ?? '';
  return statement.endsWith(` ${definition}`) ? `${statement} NOT VALID` : statement;
}

/**
 * By id: `done` where there is nothing to do, since the thing exists as it was or its table exists no more;
 * `unchecked` for a foreign key that is there, NOT VALID, and was valid once.
 */
async function whatIsThere(
  session: Session,
  rows: readonly TakenRow[],
): Promise<Map<string, 'done' | 'unchecked'>> {
  const found = await query(
    session,
    `SELECT w.id, CASE WHEN k.convalidated = false AND w.validated THEN 'unchecked' ELSE 'done' END AS state
       FROM jsonb_to_recordset($1::jsonb)
              AS w(id text, kind text, schema text, name text, object text, validated boolean,
                   parent_schema text, parent_name text)
       LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
       LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
       LEFT JOIN pg_catalog.pg_constraint k
         ON k.conrelid = c.oid AND k.conname = w.object AND w.kind IN ('foreign key', 'constraint')
      WHERE c.oid IS NULL
         OR k.oid IS NOT NULL
         OR w.parent_name IS NOT NULL AND NOT EXISTS (
              SELECT 1 FROM pg_catalog.pg_class p JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
               WHERE pn.nspname = w.parent_schema AND p.relname = w.parent_name)
         OR w.kind = 'index' AND EXISTS (
              SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
               WHERE i.indrelid = c.oid AND ic.relname = w.object AND i.indisvalid)`,
    [
      JSON.stringify(
        rows.map((row) => ({
          id: row.id,
          kind: row.kind,
          schema: row.facts.relation?.schema ?? row.schema,
          name: row.facts.relation?.name ?? row.table,
          object: row.object,
          validated: row.facts.foreignKey?.validated ?? false,
          parent_schema: row.facts.foreignKey?.parentSchema,
          parent_name: row.facts.foreignKey?.parentTable,
        })),
      ),
    ],
  );
  return new Map(found.map((row) => [String(row.id), row.state as 'done' | 'unchecked']));
}

/** 256 MB for sorting, where the server allows itself less: enough for its own default of two parallel workers. */
async function generousMemory(session: Session): Promise<void> {
  await query(
    session,
    `SELECT set_config('maintenance_work_mem', '256MB', true)
      WHERE pg_catalog.pg_size_bytes(current_setting('maintenance_work_mem')) < 268435456`,
  );
}
