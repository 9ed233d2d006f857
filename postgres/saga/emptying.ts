import { type TableName, tableText } from '../../plan/catalog.js';
import { quoteTable } from '../identifiers.js';
import type { TakenRow } from '../ledger/ddl.js';
import { execute, query, type Session, withTransaction } from '../session.js';
import { hasOrphans } from '../settle/orphans.js';
import { silence } from './guards.js';
import { type Fence, keyTables } from './put-back.js';

/** A table that a `replace` emptied for its load. */
export interface Load extends TableName {
  readonly complete: boolean;
}

/**
 * The tables that a `replace` emptied for its load, and whether the ledger says that the load is whole: those of the
 * run, and those of ended runs that the things to put back touch. Never one that another open run owns.
 */
export async function loadsOf(session: Session, run: string, rows: readonly TakenRow[]): Promise<Load[]> {
  const touched = rows.flatMap((row) => [{ schema: row.schema, name: row.table }, ...keyTables(row)]);
  const found = await query(
    session,
    `SELECT e.schema_name, e.table_name,
            coalesce((SELECT bool_and(p.done) FROM lethe.partition p
                       WHERE p.run = r.run AND p.table_id = t.id), false) AS complete
       FROM lethe.epoch e
       JOIN lethe.run r ON r.run = e.emptied AND r.mode = 'replace'
       LEFT JOIN lethe.run o ON o.run = e.run
       CROSS JOIN LATERAL jsonb_to_recordset(r.pins -> 'plan' -> 'tables') AS t(id integer, destination jsonb)
      WHERE t.destination ->> 'schema' = e.schema_name AND t.destination ->> 'name' = e.table_name
        AND (e.emptied = $1 OR $2::jsonb @> jsonb_build_array(jsonb_build_array(e.schema_name, e.table_name)))
        AND (o.run IS NULL OR o.run = $1 OR o.state IN ('complete', 'failed', 'cancelled', 'superseded'))
        AND to_regclass(format('%I.%I', e.schema_name, e.table_name)) IS NOT NULL
      ORDER BY e.id`,
    [run, JSON.stringify(touched.map(({ schema, name }) => [schema, name]))],
  );
  return found.map((row) => ({
    schema: row.schema_name!,
    name: row.table_name!,
    complete: row.complete === 't',
  }));
}

/** Which tables a restoration may empty, and which it has. */
export class Emptying {
  readonly emptied: string[] = [];
  private readonly done = new Set<string>();
  private readonly loads: ReadonlyMap<string, Load>;

  constructor(
    private readonly session: Session,
    private readonly fence: Fence,
    loads: readonly Load[],
  ) {
    this.loads = new Map(loads.map((load) => [quoteTable(load), load]));
  }

  async emptyIncomplete(): Promise<void> {
    await this.empty([...this.loads.values()].filter((load) => !load.complete));
  }

  /** Until no key of an own table is violated any more: each round may take the parents of the next one's rows away. */
  async emptyOrphaned(rows: readonly TakenRow[]): Promise<void> {
    let changed = true;
    while (changed) {
      changed = false;
      for (const { schema, table, facts } of rows) {
        const key = facts.foreignKey;
        const name = { schema, name: table };
        if (!key || !this.mayEmpty(name)) continue;
        if (!(await parentsThere(this.session, key)) || !(await hasOrphans(this.session, key))) continue;
        changed = (await this.empty([name])) || changed;
      }
    }
  }

  /**
   * Empties tables that these runs loaded, each with those that still reference it. Left alone are tables that are not
   * theirs, that were emptied already, or that a table which is not theirs references. False when nothing was emptied.
   */
  async empty(tables: readonly TableName[]): Promise<boolean> {
    const wanted = tables.filter((table) => this.mayEmpty(table));
    if (wanted.length === 0) return false;
    return withTransaction(this.session, async () => {
      const all = await this.withReferencing(wanted);
      if (all.size === 0) return false;
      await this.fence(this.session, [...all.values()]);
      await silence(this.session, 'replace', 'transaction');
      await execute(this.session, `TRUNCATE ${[...all.keys()].join(', ')}`);
      for (const name of all.values()) {
        if (!this.done.has(quoteTable(name))) this.emptied.push(tableText(name));
        this.done.add(quoteTable(name));
      }
      return true;
    });
  }

  private mayEmpty(table: TableName): boolean {
    return this.loads.has(quoteTable(table)) && !this.done.has(quoteTable(table));
  }

  /** The tables and, transitively, those with a foreign key to them in force: by what TRUNCATE calls them. */
  private async withReferencing(tables: readonly TableName[]): Promise<Map<string, TableName>> {
    const rows = await query(
      this.session,
      `WITH RECURSIVE reach AS (
         SELECT w.n, to_regclass(format('%I.%I', w.schema, w.name))::oid AS oid
           FROM jsonb_to_recordset($1::jsonb) AS w(n integer, schema text, name text)
         UNION
         SELECT r.n, k.conrelid FROM reach r
           JOIN pg_catalog.pg_constraint k ON k.confrelid = r.oid AND k.contype = 'f' AND k.conparentid = 0
       )
       SELECT r.n, n.nspname AS schema, c.relname AS name, c.relkind AS kind
         FROM reach r
         JOIN pg_catalog.pg_class c ON c.oid = r.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        ORDER BY r.n`,
      [JSON.stringify(tables.map(({ schema, name }, n) => ({ n, schema, name })))],
    );
    const found = rows.map((row) => {
      const name = { schema: row.schema!, name: row.name! };
      return { n: row.n, name, sql: `${row.kind === 'p' ? '' : 'ONLY '}${quoteTable(name)}` };
    });
    const foreign = new Set(found.filter(({ name }) => !this.loads.has(quoteTable(name))).map(({ n }) => n));
    return new Map(found.filter(({ n }) => !foreign.has(n)).map(({ sql, name }) => [sql, name]));
  }
}

/** A key whose parent table somebody dropped has nothing left to check. */
async function parentsThere(
  session: Session,
  key: { parentSchema: string; parentTable: string },
): Promise<boolean> {
  const [row] = await query(
    session,
    `SELECT to_regclass(format('%I.%I', $1::text, $2::text)) IS NOT NULL AS there`,
    [key.parentSchema, key.parentTable],
  );
  return row?.there === 't';
}
