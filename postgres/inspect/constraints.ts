import type { TableName } from '../../plan/catalog.js';
import { quoteColumns, quoteIdent, quoteTable } from '../identifiers.js';
import { query, type Session, type TextRow } from '../session.js';

/** A constraint, index or trigger of a table that does not hold: it is not valid, or switched off. */
export interface Invalid {
  readonly table: TableName;
  readonly object: string;
  readonly why: 'not valid' | 'not enforced' | 'its trigger is disabled';
}

/** All constraints and unique indexes of tables (and of their partitions), as far as the catalog says. */
export async function invalidConstraints(
  session: Session,
  tables: readonly TableName[],
): Promise<{ checked: number; invalid: Invalid[] }> {
  const [version] = await query(
    session,
    `SELECT current_setting('server_version_num')::int >= 180000 AS enforced`,
  );
  const notEnforced = version?.enforced === 't' ? 'NOT k.conenforced' : 'false';
  const rows = await query(
    session,
    `WITH relation AS (
       SELECT c.oid, n.nspname, c.relname
         FROM jsonb_to_recordset($1::jsonb) AS w(schema text, name text)
         JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
     ), found AS (
       SELECT r.nspname AS schema, r.relname AS name, k.conname AS object,
              CASE WHEN ${notEnforced} THEN 'not enforced'
                   WHEN NOT k.convalidated THEN 'not valid'
                   WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled = 'D')
                   THEN 'its trigger is disabled' END AS why
         FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
       UNION ALL
       SELECT r.nspname, r.relname, x.relname, CASE WHEN NOT i.indisvalid THEN 'not valid' END
         FROM relation r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND i.indisunique
         JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = r.oid)
     )
     SELECT count(*) OVER () AS checked, * FROM found ORDER BY why NULLS LAST, 2, 3, 4`,
    [JSON.stringify(tables.map(({ schema, name }) => ({ schema, name })))],
  );
  return {
    checked: Number(rows[0]?.checked ?? 0),
    invalid: rows.flatMap(({ schema, name, object, why }) =>
      why == null
        ? []
        : [{ table: { schema: schema!, name: name! }, object: object!, why: why as Invalid['why'] }],
    ),
  };
}

/** A foreign key of a table, and how many of some rows have no parent. */
export interface OrphanCount {
  readonly table: TableName;
  readonly object: string;
  readonly looked: number;
  readonly orphans: number;
}

/**
 * Looks up the parents of some rows of each table: that a key is valid is what the catalog says, and what nobody has
 * checked since triggers were last switched off.
 *
 * @param rows Of each table, at most; from all over it.
 * @param seed Which rows: equal seeds give equal samples.
 */
export async function countOrphans(
  session: Session,
  tables: readonly TableName[],
  rows: number | 'all',
  seed: number,
): Promise<OrphanCount[]> {
  if (rows === 0) return [];
  const keys = await query(session, KEYS, [
    JSON.stringify(tables.map(({ schema, name }) => ({ schema, name }))),
  ]);
  const counts: OrphanCount[] = [];
  for (const key of keys) {
    const [row] = await query(session, orphansSql(key, rows, seed));
    counts.push({
      table: { schema: key.schema!, name: key.name! },
      object: key.object!,
      looked: Number(row!.looked),
      orphans: Number(row!.orphans),
    });
  }
  return counts;
}

/** Blocks that a sample takes at least, so that it does not lie in one place. */
const LEAST_BLOCKS = 100;
/** Rows of a block where nobody has counted: few, so that enough blocks are read. */
const SPARSE = 10;

function orphansSql(key: TextRow, rows: number | 'all', seed: number): string {
  const child = JSON.parse(key.child_columns!) as string[];
  const parent = JSON.parse(key.parent_columns!) as string[];
  const operators = JSON.parse(key.operators!) as { schema: string; name: string }[];
  const from = quoteTable({ schema: key.schema!, name: key.name! });
  const to = quoteTable({ schema: key.parent_schema!, name: key.parent_name! });
  const set = child.map((column) => `${quoteIdent(column)} IS NOT NULL`).join(' AND ');
  const pairs = parent.map((column, i) => {
    const { schema, name } = operators[i]!;
    return `p.${quoteIdent(column)} OPERATOR(${quoteIdent(schema)}.${name}) c.${quoteIdent(child[i]!)}`;
  });
  return `SELECT count(*) AS looked, count(*) FILTER (WHERE NOT EXISTS (
            SELECT FROM ${key.parent_kind === 'p' ? '' : 'ONLY '}${to} AS p WHERE ${pairs.join(' AND ')})) AS orphans
            FROM (SELECT ${quoteColumns(child)} FROM ${key.kind === 'p' ? '' : 'ONLY '}${from}${rows === 'all' ? '' : sampleOf(key, rows, seed)}
                   WHERE ${set}${rows === 'all' ? '' : ` ORDER BY ${placeHash(seed)} LIMIT ${rows}`}) AS c`;
}

/** Of the blocks twice as many as the rows should need: of those that they hold, some are then chosen. */
function sampleOf(key: TextRow, rows: number, seed: number): string {
  const [pages, counted, countedPages] = [key.pages, key.counted, key.counted_pages].map(Number) as [
    number,
    number,
    number,
  ];
  const density = counted > 0 && countedPages > 0 ? counted / countedPages : SPARSE;
  const percent = (100 * Math.max(LEAST_BLOCKS, (2 * rows) / density)) / Math.max(1, pages);
  return percent >= 100 ? '' : ` TABLESAMPLE SYSTEM (${percent.toFixed(6)}) REPEATABLE (${seed})`;
}

/** An order of rows that has nothing to do with where they lie, and is the same each time. */
function placeHash(seed: number): string {
  return `hashtextextended(tableoid::text || ctid::text, ${seed})`;
}

const KEYS = `
  SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, k.conname AS object,
         size.*, pn.nspname AS parent_schema, p.relname AS parent_name, p.relkind AS parent_kind,
         (SELECT jsonb_agg(a.attname ORDER BY u.at) FROM unnest(k.conkey) WITH ORDINALITY u(attnum, at)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) AS child_columns,
         (SELECT jsonb_agg(a.attname ORDER BY u.at) FROM unnest(k.confkey) WITH ORDINALITY u(attnum, at)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum) AS parent_columns,
         (SELECT jsonb_agg(jsonb_build_object('schema', s.nspname, 'name', o.oprname) ORDER BY u.at)
            FROM unnest(k.conpfeqop) WITH ORDINALITY u(oid, at)
            JOIN pg_catalog.pg_operator o ON o.oid = u.oid
            JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace) AS operators
    FROM jsonb_to_recordset($1::jsonb) AS w(schema text, name text)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
    JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.convalidated
      -- Not the copies of a key for each partition of its parent; nor one over periods, which several parents may cover.
      AND k.conparentid = 0 AND to_jsonb(k) ->> 'conperiod' IS DISTINCT FROM 'true'
    JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
    JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
   CROSS JOIN LATERAL (
         SELECT sum(pg_relation_size(l.oid)) / current_setting('block_size')::bigint AS pages,
                sum(greatest(l.reltuples, 0)) AS counted, sum(l.relpages) AS counted_pages
           FROM pg_catalog.pg_class l
          WHERE l.oid = c.oid OR (c.relkind = 'p' AND l.oid IN (SELECT relid FROM pg_partition_tree(c.oid)))) AS size
   ORDER BY 1, 2, 4`;

/** Rows of a table that are alike in some columns with fewer than `k - 1` others, and in how many groups. */
export async function smallGroups(
  session: Session,
  from: string,
  columns: readonly string[],
  k: number,
): Promise<{ rows: number; groups: number; smallest: number }> {
  const [row] = await query(
    session,
    `SELECT coalesce(sum(n) FILTER (WHERE n < $1::bigint), 0) AS rows, count(*) FILTER (WHERE n < $1::bigint) AS groups,
            coalesce(min(n), 0) AS smallest
       FROM (SELECT count(*) AS n FROM ${from} GROUP BY ${columns.map((column) => `${quoteIdent(column)}::text`).join(', ')}) AS g`,
    [k],
  );
  return { rows: Number(row!.rows), groups: Number(row!.groups), smallest: Number(row!.smallest) };
}
