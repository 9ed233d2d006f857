import { type TableName, tableText } from '../../plan/catalog.js';
import { quoteTable } from '../identifiers.js';
import type { TakenRow } from '../ledger/ddl.js';
import { execute, query, type Session, withTransaction } from '../session.js';
import { hasOrphans } from '../settle/orphans.js';
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
    for (const load of this.loads.values()) {
      if (!load.complete) await this.empty(load);
    }
  }

  /** Until no key of an own table is violated any more: each round may take the parents of the next one's rows away. */
  async emptyOrphaned(rows: readonly TakenRow[]): Promise<void> {
    let changed = true;
    while (changed) {
      changed = false;
      for (const { schema, table, facts } of rows) {
        const key = facts.foreignKey;
        const name = { schema, name: table };
        if (!key || !this.loads.has(quoteTable(name)) || this.done.has(quoteTable(name))) continue;
        if (!(await parentsThere(this.session, key)) || !(await hasOrphans(this.session, key))) continue;
        changed = (await this.empty(name)) || changed;
      }
    }
  }

  /**
   * Empties a table that was loaded by these runs, with those that still reference it. False when it is not theirs, was
   * emptied already, or is referenced by a table that is not theirs.
   */
  async empty(table: TableName): Promise<boolean> {
    if (!this.loads.has(quoteTable(table)) || this.done.has(quoteTable(table))) return false;
    return withTransaction(this.session, async () => {
      const all = await this.withReferencing(table);
      if (!all) return false;
      await this.fence(
        this.session,
        all.map(({ name }) => name),
      );
      await execute(this.session, `TRUNCATE ${all.map(({ sql }) => sql).join(', ')}`);
      for (const { name } of all) {
        if (!this.done.has(quoteTable(name))) this.emptied.push(tableText(name));
        this.done.add(quoteTable(name));
      }
      return true;
    });
  }

  /** The table and, transitively, those with a foreign key to it in force; undefined when one is not theirs. */
  private async withReferencing(table: TableName): Promise<{ name: TableName; sql: string }[] | undefined> {
    const rows = await query(
      this.session,
      `WITH RECURSIVE reach AS (
         SELECT to_regclass(format('%I.%I', $1::text, $2::text))::oid AS oid
         UNION
         SELECT k.conrelid FROM reach r
           JOIN pg_catalog.pg_constraint k ON k.confrelid = r.oid AND k.contype = 'f' AND k.conparentid = 0
       )
       SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind
         FROM reach r
         JOIN pg_catalog.pg_class c ON c.oid = r.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`,
      [table.schema, table.name],
    );
    const found = rows.map((row) => {
      const name = { schema: String(row.schema), name: String(row.name) };
      return { name, sql: `${row.kind === 'p' ? '' : 'ONLY '}${quoteTable(name)}` };
    });
    return found.every(({ name }) => this.loads.has(quoteTable(name))) ? found : undefined;
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
