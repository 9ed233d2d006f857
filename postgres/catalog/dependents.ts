import type { CatalogSequence, TableName } from '../../plan/catalog.js';
import { query, type Session } from '../session.js';
import { json } from './relations.js';

/**
 * What outside the given relations depends on them, by relation oid, as `kind schema.name`: views and materialized
 * views (also through other views), rules of other tables, foreign keys of tables that are not among them.
 */
export async function readDependents(
  session: Session,
  relations: readonly number[],
): Promise<Map<number, string[]>> {
  const rows = await query(
    session,
    `WITH RECURSIVE uses (root, oid) AS (
       SELECT r, r FROM unnest($1::oid[]) AS r
       UNION
       SELECT u.root, w.ev_class FROM uses u
       JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = u.oid AND d.classid = 'pg_rewrite'::regclass
       JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> u.oid
       JOIN pg_class v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm'))
     SELECT u.root, CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || n.nspname || '.' || c.relname AS text
     FROM uses u JOIN pg_class c ON c.oid = u.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE u.oid <> u.root
     UNION
     SELECT d.refobjid, 'rule ' || n.nspname || '.' || c.relname || '.' || w.rulename
     FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY ($1::oid[])
       AND c.relkind IN ('r', 'p') AND w.ev_class <> d.refobjid
     UNION
     SELECT k.confrelid, 'foreign key ' || n.nspname || '.' || c.relname || '.' || k.conname
     FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype = 'f' AND k.confrelid = ANY ($1::oid[]) AND k.conparentid = 0 AND k.conrelid <> ALL ($1::oid[])
     ORDER BY 1, 2`,
    [relations],
  );
  const dependents = new Map<number, string[]>(relations.map((oid) => [oid, []]));
  for (const row of rows) dependents.get(Number(row.root))?.push(row.text!);
  return dependents;
}

/** All sequences that are no system's or extension's, with the column that owns them or alone draws from them. */
export async function readSequences(session: Session): Promise<CatalogSequence[]> {
  const rows = await query(
    session,
    `SELECT n.nspname AS schema, c.relname AS name, format_type(s.seqtypid, NULL) AS type, s.seqmax AS max,
       s.seqincrement AS increment, s.seqcycle AS cycles,
       CASE WHEN count(*) FILTER (WHERE u.owns) = 1 OR count(u.rel) = 1 THEN
         (json_agg(json_build_object('schema', tn.nspname, 'name', t.relname, 'column', a.attname) ORDER BY u.owns DESC)
           FILTER (WHERE u.rel IS NOT NULL)) -> 0 END AS owned_by
     FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN LATERAL (
       SELECT d.refobjid AS rel, d.refobjsubid AS num, true AS owns FROM pg_depend d
       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
         AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
       UNION ALL
       SELECT f.adrelid, f.adnum, false FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
       WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
         AND NOT (SELECT x.relispartition FROM pg_class x WHERE x.oid = f.adrelid)) AS u ON true
     LEFT JOIN pg_class t ON t.oid = u.rel LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
     LEFT JOIN pg_attribute a ON a.attrelid = u.rel AND a.attnum = u.num
     WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'lethe') AND c.relpersistence <> 't'
       AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')
     GROUP BY n.nspname, c.relname, s.seqtypid, s.seqmax, s.seqincrement, s.seqcycle
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
  return rows.map((row) => ({
    schema: row.schema!,
    name: row.name!,
    ownedBy: json<TableName & { column: string }>(row.owned_by) ?? undefined,
    dataType: row.type!,
    maxValue: row.max!,
    increment: row.increment!,
    cycles: row.cycles === 't',
  }));
}
