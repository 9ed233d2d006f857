import type { CatalogColumn, TableName } from '../../plan/catalog.js';
import { query, type Session } from '../session.js';
import { type ColumnShape, fingerprintOf } from './fingerprint.js';
import { json } from './relations.js';
import { readTypes, resolveType } from './types.js';

export interface TableColumns {
  readonly columns: readonly CatalogColumn[];
  readonly fingerprint: string;
}

/** Columns of tables and partition roots, by the table's oid, with the fingerprint that they make. */
export async function readColumns(
  session: Session,
  tables: readonly number[],
): Promise<Map<number, TableColumns>> {
  const types = await readTypes(session, tables);
  const rows = await query(
    session,
    `SELECT a.attrelid AS rel, a.attnum, a.attname AS name, a.atttypid AS type, a.atttypmod AS typmod,
       format_type(a.atttypid, a.atttypmod) AS type_name, a.attnotnull AS not_null, a.attidentity AS identity,
       a.attgenerated AS generated, pg_get_expr(d.adbin, d.adrelid) AS "default",
       col_description(a.attrelid, a.attnum) AS comment, o.collisdeterministic AS deterministic,
       CASE WHEN o.collname <> 'default' THEN on_.nspname || '.' || o.collname END AS collation,
       CASE WHEN a.attgenerated <> '' THEN (SELECT json_agg(DISTINCT s.attname) FROM pg_attribute s
          WHERE s.attrelid = a.attrelid AND s.attnum > 0 AND NOT s.attisdropped AND s.attnum::text IN (
            SELECT m[1] FROM regexp_matches(d.adbin::text, ':varattno (-?\\d+)', 'g') AS m)) END AS generated_from,
       coalesce(owned.sequence, drawn.sequence) AS sequence
     FROM pg_attribute a
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     LEFT JOIN pg_collation o ON o.oid = a.attcollation
     LEFT JOIN pg_namespace on_ ON on_.oid = o.collnamespace
     LEFT JOIN LATERAL (
       SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS sequence
       FROM pg_depend x JOIN pg_class c ON c.oid = x.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass AND x.refobjid = a.attrelid
         AND x.refobjsubid = a.attnum AND x.deptype IN ('a', 'i') ORDER BY x.deptype DESC LIMIT 1) AS owned ON true
     LEFT JOIN LATERAL (
       SELECT json_build_object('schema', n.nspname, 'name', c.relname) AS sequence
       FROM pg_depend x JOIN pg_class c ON c.oid = x.refobjid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid AND x.refclassid = 'pg_class'::regclass LIMIT 1) AS drawn ON true
     WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attrelid, a.attnum`,
    [tables],
  );
  const columns = new Map<number, CatalogColumn[]>(tables.map((oid) => [oid, []]));
  const shapes = new Map<number, ColumnShape[]>(tables.map((oid) => [oid, []]));
  for (const row of rows) {
    const rel = Number(row.rel);
    const resolved = resolveType(types, {
      oid: Number(row.type),
      typmod: Number(row.typmod),
      name: row.type_name!,
      notNull: row.not_null === 't',
      deterministic: row.deterministic !== 'f',
    });
    const { baseOid, baseTypmod, ...typed } = resolved;
    columns.get(rel)?.push({ ...plainFacts(row), ...typed });
    shapes.get(rel)?.push([rel, Number(row.attnum), row.name!, baseOid, baseTypmod]);
  }
  return new Map(
    tables.map((oid) => [
      oid,
      { columns: columns.get(oid) ?? [], fingerprint: fingerprintOf(shapes.get(oid) ?? []) },
    ]),
  );
}

function plainFacts(row: Record<string, string | null>): Omit<CatalogColumn, 'type' | 'domainChecks'> {
  const generated = row.generated === 's' ? 'stored' : row.generated === 'v' ? 'virtual' : 'no';
  return {
    name: row.name!,
    attnum: Number(row.attnum),
    typeOid: Number(row.type),
    default: row.default ?? undefined,
    generated,
    generatedFrom: generated === 'no' ? undefined : (json<string[]>(row.generated_from) ?? []),
    identity: row.identity === 'a' ? 'always' : row.identity === 'd' ? 'byDefault' : 'no',
    sequence: json<TableName>(row.sequence),
    collation: row.collation ? { name: row.collation, deterministic: row.deterministic !== 'f' } : undefined,
    comment: row.comment ?? undefined,
  };
}
