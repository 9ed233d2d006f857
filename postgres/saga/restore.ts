import { type TableName, tableText } from '../../plan/catalog.js';
import { quoteTable } from '../identifiers.js';
import { PHASE, type TakenRow, takenRows } from '../ledger/ddl.js';
import { execute, query, type Session, withTransaction } from '../session.js';
import { hasOrphans } from '../settle/orphans.js';
import { type Fence, isViolation, leaveOwed, restoreRows } from './put-back.js';

export interface RestoreOptions {
  /** Only what these runs owe. They must have ended. Default: all. */
  readonly runs?: readonly string[];
  /** Only rows for which it says yes; the others stay open, for a run that adopts them. */
  readonly only?: (row: TakenRow) => boolean;
}

export interface Restored {
  /** Things put back exactly as they were found. */
  readonly restored: number;
  /** Tables emptied, `schema.table`: their load was incomplete, or they referenced such a one. */
  readonly emptied: readonly string[];
  /** Put back NOT VALID, or not at all, because rows that are not Lethe's to remove violate it: `schema.table.name`. */
  readonly owed: readonly string[];
}

/**
 * Puts every constraint, index, trigger and rule back that ended runs took away. For `lethe restore`, for a cancelled
 * run and at the start of the next one; may be killed and repeated at any point.
 *
 * A `replace` table whose load is incomplete is emptied first, and then, transitively, each table of the same kind whose
 * rows reference rows that are gone: half a copy cannot have valid keys. Rows of other tables are never removed; a key
 * that they violate comes back NOT VALID and stays owed.
 */
export async function restore(
  session: Session,
  fence: Fence,
  options: RestoreOptions = {},
): Promise<Restored> {
  const rows = (await takenRows(session)).filter(
    (row) => (options.runs?.includes(row.run) ?? true) && (options.only?.(row) ?? true),
  );
  const before = rows.length;
  if (before === 0) return { restored: 0, emptied: [], owed: [] };
  const tables = new Emptying(session, fence, await loadsOf(session, rows));
  await tables.emptyIncomplete();
  const owed: string[] = [];
  const back = async (row: TakenRow) => {
    if (!(await putBack(session, fence, row, tables))) owed.push(`${row.schema}.${row.table}.${row.object}`);
  };
  for (const row of rows.filter((r) => r.phase < PHASE.foreignKey)) await back(row);
  const keys = rows.filter((row) => row.phase === PHASE.foreignKey);
  await tables.emptyOrphaned(keys);
  for (const row of keys) await back(row);
  await restoreRows(
    session,
    fence,
    rows.filter((row) => row.phase > PHASE.foreignKey),
  );
  return { restored: before - owed.length, emptied: tables.emptied, owed };
}

/** False when the thing had to stay owed. */
async function putBack(session: Session, fence: Fence, row: TakenRow, tables: Emptying): Promise<boolean> {
  try {
    await restoreRows(session, fence, [row]);
    return true;
  } catch (error) {
    if (!isViolation(error)) throw error;
  }
  if (await tables.empty({ schema: row.schema, name: row.table })) {
    await restoreRows(session, fence, [row]);
    return true;
  }
  await leaveOwed(session, fence, row);
  return false;
}

interface Load extends TableName {
  readonly complete: boolean;
}

/** The tables that the runs emptied for their load, and whether the ledger says that the load is whole. */
async function loadsOf(session: Session, rows: readonly TakenRow[]): Promise<Load[]> {
  const found = await query(
    session,
    `SELECT e.schema_name, e.table_name,
            coalesce((SELECT bool_and(p.done) FROM lethe.partition p
                       WHERE p.run = r.run AND p.table_id = t.id), false) AS complete
       FROM lethe.epoch e
       JOIN lethe.run r ON r.run = e.emptied
       CROSS JOIN LATERAL jsonb_to_recordset(r.pins -> 'plan' -> 'tables') AS t(id integer, destination jsonb)
      WHERE r.run = ANY ($1::uuid[])
        AND t.destination ->> 'schema' = e.schema_name AND t.destination ->> 'name' = e.table_name
        AND to_regclass(format('%I.%I', e.schema_name, e.table_name)) IS NOT NULL
      ORDER BY e.id`,
    [`{${[...new Set(rows.map((row) => row.run))].join(',')}}`],
  );
  return found.map((row) => ({
    schema: String(row.schema_name),
    name: String(row.table_name),
    complete: row.complete === 't',
  }));
}

/** Which tables a restoration may empty, and which it has. */
class Emptying {
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
