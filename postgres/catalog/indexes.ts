import type { CatalogIndex } from '../../plan/catalog.js';
import { query, type Session } from '../session.js';
import { json } from './relations.js';

/**
 * Indexes by the oid of their relation. An index of a partition that belongs to one of its root's is left out: the
 * root's stands for it.
 */
export async function readIndexes(
  session: Session,
  relations: readonly number[],
): Promise<Map<number, CatalogIndex[]>> {
  const rows = await query(
    session,
    `SELECT i.indrelid AS rel, i.indexrelid AS oid, c.relname AS name, am.amname AS method, i.indisunique AS "unique",
       i.indisprimary AS "primary", i.indisexclusion AS exclusion, i.indisvalid AND i.indisready AS valid,
       to_jsonb(i) ->> 'indnullsnotdistinct' = 'true' AS not_distinct,
       (SELECT json_agg(a.attname ORDER BY p) FROM generate_series(1, i.indnkeyatts) AS p
          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p - 1] AND a.attnum <> 0) AS columns,
       (SELECT json_agg(pg_get_indexdef(i.indexrelid, p, false) ORDER BY p) FROM generate_series(1, i.indnkeyatts) AS p) AS keys,
       (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
          WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped
            AND (ARRAY[a.attnum::text, '0'] && (SELECT array_agg(m[1]) FROM regexp_matches(
              concat(i.indexprs::text, i.indpred::text), ':varattno (-?\\d+)', 'g') AS m))) AS expression_columns,
       pg_get_expr(i.indpred, i.indrelid) AS predicate, pg_get_indexdef(i.indexrelid) AS definition,
       k.conname AS constraint_name, pg_get_constraintdef(k.oid) AS constraint_definition, k.condeferrable AS deferrable
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
     LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
     WHERE i.indrelid = ANY ($1::oid[]) AND NOT c.relispartition
     ORDER BY i.indrelid, i.indisprimary DESC, c.relname COLLATE "C"`,
    [relations],
  );
  const indexes = new Map<number, CatalogIndex[]>(relations.map((oid) => [oid, []]));
  for (const row of rows) {
    indexes.get(Number(row.rel))?.push({
      name: row.name!,
      oid: Number(row.oid),
      method: row.method!,
      unique: row.unique === 't',
      primary: row.primary === 't',
      exclusion: row.exclusion === 't',
      valid: row.valid === 't',
      nullsNotDistinct: row.not_distinct === 't',
      columns: json<(string | null)[]>(row.columns) ?? [],
      expressionColumns: json<string[]>(row.expression_columns) ?? [],
      predicate: row.predicate ?? undefined,
      keys: json<string[]>(row.keys) ?? [],
      definition: row.definition!,
      constraint: row.constraint_name
        ? {
            name: row.constraint_name,
            definition: row.constraint_definition!,
            deferrable: row.deferrable === 't',
          }
        : undefined,
    });
  }
  return indexes;
}
