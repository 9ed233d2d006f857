import type { Plan, TablePlan } from '../plan/plan.js';
import { wholeTable } from './identifiers.js';
import { takenRows, takenText } from './ledger/ddl.js';
import { readingAllRows } from './rowSecurity.js';
import { query, type Session } from './session.js';

/** What a finished run says of itself, and what its destination holds: the input of the checks in `quality/`. */
export interface RunFacts {
  readonly tables: readonly TableFacts[];
  /** Not back: `schema.table.object`. */
  readonly away: readonly string[];
  /** Back, but NOT VALID or given up, because rows violate it. */
  readonly owed: readonly string[];
  /** Put back, and since then gone or not valid any more. */
  readonly broken: readonly string[];
  /** How many constraints, indexes, triggers and rules the run took away. */
  readonly taken: number;
}

export interface TableFacts {
  /** Plan id. */
  readonly table: number;
  /** Rows that the ledger's committed batches wrote. */
  readonly written: number;
  /** Rows that settle removed afterwards. */
  readonly removed: number;
  /** All rows of it in quarantine. */
  readonly quarantined: number;
  /** Rows that are there. */
  readonly found: number;
  /** Partitions that are not done, or were never cut; batches that are not committed. */
  readonly unfinished: number;
  /** The run still owns the table. */
  readonly owned: boolean;
  /** By column: values that came out as they went in. */
  readonly leaks: Readonly<Record<string, number>>;
}

/** Reads the facts of a run: three statements over the ledger and the catalog, and one that counts all rows. */
export async function readRunFacts(
  session: Session,
  run: string,
  plan: Pick<Plan, 'tables'>,
): Promise<RunFacts> {
  const ledger = await readLedger(session, run, plan.tables);
  const found = await countRows(session, plan.tables);
  const taken = await takenRows(session, { run, restored: true });
  const broken = await brokenObjects(session, run);
  return {
    tables: plan.tables.map((table) => ({ ...ledger.get(table.id)!, found: found.get(table.id) ?? 0 })),
    away: taken.filter(({ state }) => state === 'open').map(takenText),
    owed: taken.filter(({ state }) => state === 'owed').map(takenText),
    broken,
    taken: taken.length,
  };
}

async function readLedger(
  session: Session,
  run: string,
  tables: readonly TablePlan[],
): Promise<Map<number, Omit<TableFacts, 'found'>>> {
  const rows = await query(
    session,
    `SELECT w.id,
            coalesce((SELECT sum(b.rows) FROM lethe.batch b
                       WHERE b.run = $1 AND b.table_id = w.id AND b.state = 'committed'), 0) AS written,
            (SELECT coalesce(sum(q.removed), 0) FROM lethe.quarantine q
              WHERE q.run = $1 AND q.table_id = w.id) AS removed,
            (SELECT count(*) FROM lethe.quarantine q
              WHERE q.run = $1 AND q.table_id = w.id AND q.replayed_at IS NULL) AS quarantined,
            (SELECT count(*) FILTER (WHERE NOT p.done) + (count(*) = 0)::int FROM lethe.partition p
              WHERE p.run = $1 AND p.table_id = w.id)
            + (SELECT count(*) FROM lethe.batch b
                WHERE b.run = $1 AND b.table_id = w.id AND b.state <> 'committed') AS unfinished,
            EXISTS (SELECT 1 FROM lethe.epoch e
                     WHERE e.schema_name = w.schema AND e.table_name = w.name AND e.run = $1) AS owned,
            (SELECT coalesce(jsonb_object_agg(l.key, l.rows), '{}')
               FROM (SELECT x.key, sum(x.value::bigint) AS rows
                       FROM lethe.batch b, jsonb_each_text(b.leaks) x
                      WHERE b.run = $1 AND b.table_id = w.id AND b.state = 'committed'
                      GROUP BY x.key) l) AS leaks
       FROM jsonb_to_recordset($2::jsonb) AS w(id integer, schema text, name text)`,
    [run, JSON.stringify(tables.map(({ id, destination: { schema, name } }) => ({ id, schema, name })))],
  );
  return new Map(
    rows.map((row) => [
      Number(row.id),
      {
        table: Number(row.id),
        written: Number(row.written),
        removed: Number(row.removed),
        quarantined: Number(row.quarantined),
        unfinished: Number(row.unfinished),
        owned: row.owned === 't',
        leaks: JSON.parse(row.leaks!) as Record<string, number>,
      },
    ]),
  );
}

async function countRows(session: Session, tables: readonly TablePlan[]): Promise<Map<number, number>> {
  if (tables.length === 0) return new Map();
  const counts = tables.map(
    (table) => `SELECT ${table.id} AS id, count(*) AS found FROM ${wholeTable(table)}`,
  );
  const rows = await readingAllRows(
    session,
    tables.map(({ destination }) => destination),
    () => query(session, counts.join(' UNION ALL ')),
  );
  return new Map(rows.map((row) => [Number(row.id), Number(row.found)]));
}

/** What the run put back, looked up again: a key that was NOT VALID when it was found may be so now. */
async function brokenObjects(session: Session, run: string): Promise<string[]> {
  const rows = await query(
    session,
    `SELECT format('%s.%s.%s', d.schema_name, d.table_name, d.object_name) AS object
       FROM (SELECT *, coalesce(facts -> 'relation' ->> 'schema', schema_name) AS rel_schema,
                    coalesce(facts -> 'relation' ->> 'name', table_name) AS rel_name
               FROM lethe.ddl WHERE run = $1 AND state = 'restored') d
       LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = d.rel_schema
       LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = d.rel_name
      WHERE d.kind IN ('foreign key', 'constraint') AND NOT EXISTS (
              SELECT 1 FROM pg_catalog.pg_constraint k
               WHERE k.conrelid = c.oid AND k.conname = d.object_name
                 AND (k.convalidated OR d.facts -> 'foreignKey' ->> 'validated' = 'false'))
         OR d.kind = 'index' AND NOT EXISTS (
              SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
               WHERE i.indrelid = c.oid AND x.relname = d.object_name AND i.indisvalid)
         OR d.kind = 'trigger' AND EXISTS (
              SELECT 1 FROM pg_catalog.pg_trigger g
               WHERE g.tgrelid = c.oid AND g.tgname = d.object_name AND g.tgenabled = 'D')
      ORDER BY 1`,
    [run],
  );
  return rows.map((row) => row.object!);
}
