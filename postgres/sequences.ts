import type { TableName } from '../plan/catalog.js';
import { tableText } from '../plan/catalog.js';
import type { Plan, SequencePlan, TablePlan } from '../plan/plan.js';
import { quoteIdent, quoteTable } from './identifiers.js';
import type { Fence } from './saga/put-back.js';
import { query, type Session, withTransaction } from './session.js';

/** What a sequence hands out next: `value` itself, or, when it was handed out already, the one after it. */
interface Position {
  readonly value: string;
  readonly called: boolean;
}

/**
 * Sets the destination's sequences after the load, so that the application can go on inserting: behind a permuted
 * range, behind the largest value, or where the source's stand, as the plan says.
 *
 * `upsert` only moves them on: the destination may have handed out more by itself.
 *
 * @param source Opened only when the plan copies positions.
 * @returns How many were set.
 */
export async function setSequences(
  session: Session,
  fence: Fence,
  plan: Pick<Plan, 'mode' | 'tables' | 'freeSequences'>,
  source: () => Promise<Session>,
): Promise<number> {
  let count = 0;
  for (const table of plan.tables) {
    if (table.sequences.length === 0) continue;
    const copied = new Map<SequencePlan, Position | undefined>();
    for (const sequence of table.sequences) {
      if (sequence.action.kind === 'copy')
        copied.set(sequence, await positionBehind(await source(), table, sequence));
    }
    await withTransaction(session, async () => {
      await fence(session, [table.destination]);
      for (const sequence of table.sequences) {
        const position = copied.has(sequence) ? copied.get(sequence) : await wanted(session, table, sequence);
        if (!position) continue;
        await setPosition(session, sequence.sequence, position, plan.mode === 'upsert');
        count += 1;
      }
    });
  }
  for (const { source: from, destination: to } of plan.freeSequences) {
    const position = await positionOf(await source(), from);
    await withTransaction(session, async () => {
      await fence(
        session,
        plan.tables.slice(0, 1).map((table) => table.destination),
      );
      await setPosition(session, to, position, plan.mode === 'upsert');
    });
    count += 1;
  }
  return count;
}

/** Undefined for a table without rows: its sequence begins where it is defined to. */
async function wanted(
  session: Session,
  table: TablePlan,
  { action, column, sequence }: SequencePlan,
): Promise<Position | undefined> {
  if (action.kind === 'restart') return { value: action.value, called: false };
  const [facts] = await query(
    session,
    'SELECT seqincrement < 0 AS down, seqmin, seqmax, seqstart FROM pg_catalog.pg_sequence WHERE seqrelid = $1::regclass',
    [quoteTable(sequence)],
  );
  const down = facts?.down === 't';
  const [row] = await query(
    session,
    `SELECT ${down ? 'min' : 'max'}(${quoteIdent(column)})::text AS last FROM ${quoteTable(table.destination)}`,
  );
  const start = { value: facts!.seqstart!, called: false };
  if (row?.last == null) return start;
  const [last, min, max] = [BigInt(row.last), BigInt(facts!.seqmin!), BigInt(facts!.seqmax!)];
  // All values lie before the sequence's range: it never made them.
  if (down ? last > max : last < min) return start;
  const end = down ? min : max;
  const beyond = down ? last < min : last > max;
  return { value: String(beyond ? end : last), called: true };
}

async function setPosition(
  session: Session,
  sequence: TableName,
  { value, called }: Position,
  onlyForward: boolean,
): Promise<void> {
  const name = quoteTable(sequence);
  await query(
    session,
    `SELECT setval($1::regclass, $2::bigint, $3::boolean)
       FROM pg_catalog.pg_sequence s, ${name} AS now
      WHERE s.seqrelid = $1::regclass
        AND NOT ($4::boolean AND CASE WHEN s.seqincrement > 0
                                      THEN (now.last_value, now.is_called) >= ($2::bigint, $3::boolean)
                                      ELSE (-now.last_value, now.is_called) >= (-$2::bigint, $3::boolean) END)`,
    [name, value, called, onlyForward],
  );
}

/** Of the sequence that feeds the column at the source, owned by it or not. */
async function positionBehind(
  source: Session,
  table: TablePlan,
  { column }: SequencePlan,
): Promise<Position | undefined> {
  const name = table.columns.find(({ destination }) => destination === column)?.name ?? column;
  const [row] = await query(
    source,
    `SELECT n.nspname AS schema, s.relname AS name
       FROM pg_catalog.pg_attribute a
       JOIN pg_catalog.pg_depend d ON true
       JOIN pg_catalog.pg_class s ON s.relkind = 'S'
       JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
      WHERE a.attrelid = $1::regclass AND a.attname = $2
        AND (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
          OR d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = s.oid
             AND d.classid = 'pg_catalog.pg_attrdef'::regclass
             AND d.objid IN (SELECT f.oid FROM pg_catalog.pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum))
      ORDER BY (d.deptype IN ('a', 'i')) DESC LIMIT 1`,
    [quoteTable(table.source), name],
  );
  return row && positionOf(source, { schema: row.schema!, name: row.name! });
}

async function positionOf(source: Session, sequence: TableName): Promise<Position> {
  const [row] = await query(source, `SELECT last_value, is_called FROM ${quoteTable(sequence)}`);
  return { value: row!.last_value!, called: row!.is_called === 't' };
}

export interface Refreshed {
  readonly refreshed: readonly string[];
  /** Materialized views whose refresh failed, with the SQLSTATE; they hold what they held before. */
  readonly failed: readonly { readonly view: string; readonly code: string }[];
}

/**
 * Refreshes the materialized views that read the tables, directly or through others, the innermost first. One that
 * fails (its owner is another role, its query divides by zero) is reported and fails nothing.
 */
export async function refreshViews(
  session: Session,
  fence: Fence,
  tables: readonly { readonly destination: TableName }[],
): Promise<Refreshed> {
  const rows = await query(
    session,
    `WITH RECURSIVE reader AS (
       SELECT c.oid, 0 AS depth
         FROM jsonb_to_recordset($1::jsonb) AS w(schema text, name text)
         JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
       UNION
       SELECT r.ev_class, x.depth + 1
         FROM reader x
         JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = x.oid
          AND d.classid = 'pg_catalog.pg_rewrite'::regclass
         JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.ev_class <> x.oid
         JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
     )
     SELECT n.nspname AS schema, c.relname AS name
       FROM reader x
       JOIN pg_catalog.pg_class c ON c.oid = x.oid AND c.relkind = 'm'
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      GROUP BY 1, 2 ORDER BY max(x.depth), 1, 2`,
    [JSON.stringify(tables.map(({ destination: { schema, name } }) => ({ schema, name })))],
  );
  const refreshed: string[] = [];
  const failed: { view: string; code: string }[] = [];
  for (const row of rows) {
    const view = { schema: row.schema!, name: row.name! };
    try {
      await withTransaction(session, async () => {
        await fence(
          session,
          tables.map(({ destination }) => destination),
        );
        await query(session, `REFRESH MATERIALIZED VIEW ${quoteTable(view)}`);
      });
      refreshed.push(tableText(view));
    } catch (error) {
      const code = sqlState(error);
      if (!code) throw error;
      failed.push({ view: tableText(view), code });
    }
  }
  return { refreshed, failed };
}

/** The statement's own fault, not the connection's or the fence's. */
function sqlState(error: unknown): string | undefined {
  const { type, details } = error as { type?: string; details?: { code?: string } };
  return type === 'DatabaseError' || type === 'PermissionDenied' || type === 'ObjectMissing'
    ? details?.code
    : undefined;
}

/** Gathers statistics of loaded tables, so that the copy is usable at once; a table that is locked is left out. */
export async function analyzeTables(
  session: Session,
  tables: readonly { readonly destination: TableName }[],
): Promise<void> {
  if (tables.length === 0) return;
  await query(
    session,
    `ANALYZE (SKIP_LOCKED) ${tables.map(({ destination }) => quoteTable(destination)).join(', ')}`,
  );
}
