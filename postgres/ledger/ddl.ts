import type { TableName } from '../../plan/catalog.js';
import { quoteTable } from '../identifiers.js';
import { execute, query, type Session } from '../session.js';

/** Kinds of what can be taken away, as `lethe.ddl.kind` holds them. */
export type TakenKind = 'foreign key' | 'constraint' | 'index' | 'trigger' | 'rule' | 'row security';

/** Order of restoration: lower first. Taking away goes the other way round. */
export const PHASE = { constraint: 10, index: 20, foreignKey: 30, guard: 40 } as const;

/** What settle and restore must know of a thing that was taken away. */
export interface TakenFacts {
  /** Where an index or key stands: the row's table or a partition of it. */
  readonly relation?: TableName;
  /** Relations (`"schema"."table"`, quoted) whose rows the index or constraint covers: the leaves of a partition root. */
  readonly covers?: readonly string[];
  readonly unique?: UniqueFacts;
  readonly foreignKey?: ForeignKeyFacts;
}

/** A unique index, unique or exclusion constraint: how two rows are found that it would not let stand together. */
export interface UniqueFacts {
  /** `pg_get_indexdef(oid, n, false)` of each key position, with its collation where it is not the column's. */
  readonly keys: readonly string[];
  /** Quoted operators of an exclusion constraint, one a key; none for a unique one. */
  readonly operators?: readonly string[];
  readonly predicate?: string;
  readonly nullsNotDistinct: boolean;
  readonly primary: boolean;
  /** `pg_get_indexdef` of an exclusion constraint's index: without it, pairs are sought by brute force. */
  readonly definition?: string;
}

export interface ForeignKeyFacts {
  /** Where the key stands: a table, or a partition that has it by itself; as the two that follow. */
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly parentSchema: string;
  readonly parentTable: string;
  readonly parentColumns: readonly string[];
  /** The whole tables that these are, or are partitions of. */
  readonly root: TableName;
  readonly parentRoot: TableName;
  /** One `OPERATOR(schema.op)` a column, with the parent's value on its left: `=` alone would miss citext's. */
  readonly operators: readonly string[];
  /** Collation of each parent column, quoted, where it has one. */
  readonly collations: readonly (string | null)[];
  /** The tables are declared-partitioned; others are read with ONLY, as the key itself does. */
  readonly partitioned: boolean;
  readonly parentPartitioned: boolean;
  readonly matchFull: boolean;
  /** Temporal (PERIOD): parents are found by containment, which settle does not do. */
  readonly period: boolean;
  /** It was valid when it was taken away, so it must be again. */
  readonly validated: boolean;
  /** Its table is not in the job: no row of it may be removed. */
  readonly outside: boolean;
  /** The definition without NOT VALID. */
  readonly definition: string;
}

/** One thing to take away, and how it comes back. */
export interface Removal {
  readonly schema: string;
  readonly table: string;
  readonly kind: TakenKind;
  readonly object: string;
  readonly drop: readonly string[];
  /** Statements that put it back exactly, in order, inside one transaction. */
  readonly restore: readonly string[];
  readonly phase: number;
  readonly facts: TakenFacts;
}

/** A row of `lethe.ddl`: open → restored, or open → owed (back, but NOT VALID) → restored. */
export interface TakenRow extends Omit<Removal, 'drop'> {
  readonly id: string;
  readonly run: string;
  readonly state: 'open' | 'owed' | 'restored';
}

/** Writes down, in the transaction that drops them, what is taken away. */
export async function recordTaken(
  session: Session,
  run: string,
  removals: readonly Removal[],
): Promise<void> {
  if (removals.length === 0) return;
  const rows = removals.map((r) => ({
    schema_name: r.schema,
    table_name: r.table,
    kind: r.kind,
    object_name: r.object,
    restore: r.restore,
    phase: r.phase,
    facts: r.facts,
  }));
  await query(
    session,
    `INSERT INTO lethe.ddl (run, schema_name, table_name, kind, object_name, restore, phase, facts)
     SELECT $1, r.schema_name, r.table_name, r.kind, r.object_name,
            ARRAY(SELECT s.statement FROM jsonb_array_elements_text(r.restore) WITH ORDINALITY AS s(statement, n)
                   ORDER BY s.n),
            r.phase, r.facts
       FROM jsonb_to_recordset($2::jsonb) AS r(schema_name text, table_name text, kind text, object_name text,
                                               restore jsonb, phase integer, facts jsonb)`,
    [run, JSON.stringify(rows)],
  );
}

export interface TakenFilter {
  /** Only what this run owes. */
  readonly run?: string;
  /** Only of this table; foreign keys belong to their own table, not to the one they reference. */
  readonly table?: { readonly schema: string; readonly name: string };
  /** Only phases up to this one. */
  readonly maxPhase?: number;
  /** Also what is back already. */
  readonly restored?: boolean;
}

/** What is still to be put back or validated, in the order of restoration. */
export async function takenRows(session: Session, filter: TakenFilter = {}): Promise<TakenRow[]> {
  const rows = await query(
    session,
    `SELECT id, run, schema_name, table_name, kind, object_name, to_json(restore) AS restore, phase, facts, state
       FROM lethe.ddl
      WHERE (state <> 'restored' OR $5)
        AND ($1::uuid IS NULL OR run = $1)
        AND ($2::text IS NULL OR schema_name = $2 AND table_name = $3)
        AND ($4::integer IS NULL OR phase <= $4)
      ORDER BY phase, id`,
    [
      filter.run ?? null,
      filter.table?.schema ?? null,
      filter.table?.name ?? null,
      filter.maxPhase ?? null,
      filter.restored ?? false,
    ],
  );
  return rows.map((row) => ({
    id: String(row.id),
    run: String(row.run),
    schema: String(row.schema_name),
    table: String(row.table_name),
    kind: row.kind as TakenKind,
    object: String(row.object_name),
    restore: JSON.parse(String(row.restore)) as string[],
    phase: Number(row.phase),
    facts: JSON.parse(String(row.facts)) as TakenFacts,
    state: row.state as TakenRow['state'],
  }));
}

/** Locks rows that are still to be put back, so that a twin waits and then finds them restored. Returns their ids. */
export async function lockTaken(session: Session, ids: readonly string[]): Promise<Set<string>> {
  const rows = await query(
    session,
    `SELECT id FROM lethe.ddl WHERE id = ANY ($1::bigint[]) AND state <> 'restored' ORDER BY id FOR UPDATE`,
    [`{${ids.join(',')}}`],
  );
  return new Set(rows.map((row) => String(row.id)));
}

/** Crosses rows off, in the transaction that put the things back. */
export async function markTaken(
  session: Session,
  ids: readonly string[],
  state: 'open' | 'owed' | 'restored',
): Promise<void> {
  await query(
    session,
    `UPDATE lethe.ddl SET state = $2, restored_at = CASE WHEN $2 = 'restored' THEN clock_timestamp() END
      WHERE id = ANY ($1::bigint[])`,
    [`{${ids.join(',')}}`, state],
  );
}

/** Hands rows to a run that goes on where another stopped: it owes them now. Returns how many. */
export async function adoptTaken(session: Session, ids: readonly string[], run: string): Promise<number> {
  if (ids.length === 0) return 0;
  return execute(session, `UPDATE lethe.ddl SET run = $2 WHERE id = ANY ($1::bigint[])`, [
    `{${ids.join(',')}}`,
    run,
  ]);
}

/** `"schema"."table"` of where the thing stands. */
export function takenTable(row: Pick<TakenRow, 'schema' | 'table' | 'facts'>): string {
  return quoteTable(row.facts.relation ?? { schema: row.schema, name: row.table });
}

/** `schema.table.object`, for people. */
export function takenText(row: {
  readonly schema: string;
  readonly table: string;
  readonly object: string;
}): string {
  return `${row.schema}.${row.table}.${row.object}`;
}
