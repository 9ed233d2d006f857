import { LetheError } from '../../errors/errors.js';
import { type TableName, tableText } from '../../plan/catalog.js';
import { quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** What the saga must know of a table of the job; a `TablePlan` is one. */
export interface SagaTable {
  /** Stable inside a run. */
  readonly id: number;
  readonly destination: TableName;
  /** Estimate; decides whether dropping an index is worth it. */
  readonly rows: number;
}

/** A relation of the destination that belongs to a table of the job: the table, or a partition below it. */
export interface Relation extends TableName {
  readonly oid: string;
  /** Quoted. */
  readonly sql: string;
  /** r: table, p: partition root (also an inner one), f: foreign. */
  readonly kind: string;
  readonly table: SagaTable;
  /** 0 for the table itself. */
  readonly depth: number;
}

/** The relations of the job's tables, roots before their partitions. Children by plain INHERITS are not among them. */
export async function jobRelations(session: Session, tables: readonly SagaTable[]): Promise<Relation[]> {
  const rows = await query(
    session,
    `WITH RECURSIVE wanted AS (
       SELECT w.n, c.oid, 0 AS depth
         FROM jsonb_to_recordset($1::jsonb) AS w(n integer, schema text, name text)
         JOIN pg_catalog.pg_namespace s ON s.nspname = w.schema
         JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'f')
     ), tree AS (
       SELECT * FROM wanted
       UNION ALL
       SELECT t.n, i.inhrelid, t.depth + 1
         FROM tree t
         JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
         JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid AND p.relispartition
     )
     SELECT t.n, t.oid, t.depth, c.relkind AS kind, s.nspname AS schema, c.relname AS name
       FROM tree t
       JOIN pg_catalog.pg_class c ON c.oid = t.oid
       JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
      ORDER BY t.n, t.depth, s.nspname, c.relname`,
    [JSON.stringify(tables.map((t, n) => ({ n, schema: t.destination.schema, name: t.destination.name })))],
  );
  const relations = rows.map((row): Relation => {
    const name = { schema: String(row.schema), name: String(row.name) };
    return {
      ...name,
      oid: String(row.oid),
      sql: quoteTable(name),
      kind: String(row.kind),
      table: tables[Number(row.n)]!,
      depth: Number(row.depth),
    };
  });
  const found = new Set(relations.map((r) => r.table.id));
  const missing = tables.filter((t) => !found.has(t.id)).map((t) => tableText(t.destination));
  if (missing.length > 0) {
    throw new LetheError(
      'ObjectMissing',
      `The destination has no table ${missing.join(', ')}. Create the schema there first, or set destination.createSchema: true.`,
    );
  }
  return relations;
}

/** `{1,2,3}` for an `oid[]` parameter. */
export function oidArray(oids: Iterable<string>): string {
  return `{${[...oids].join(',')}}`;
}
