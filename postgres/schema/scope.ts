import { query, type Session } from '../session.js';

/** What has to be copied so that the tables of some schemas can be made. */
export interface SchemaScope {
  readonly schemas: readonly string[];
  readonly extensions: readonly string[];
}

/**
 * The schemas and, transitively, those whose types, functions, sequences or tables they use; and the extensions that
 * any of them uses. What function bodies name as text is not known to PostgreSQL, and so not followed.
 */
export async function schemaScope(session: Session, schemas: readonly string[]): Promise<SchemaScope> {
  const [row] = await query(
    session,
    `WITH RECURSIVE placed (classid, objid, schema) AS (
       SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class
       UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
       UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
       UNION ALL SELECT 'pg_constraint'::regclass, oid, connamespace FROM pg_constraint
       UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
       UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace FROM pg_opclass
       UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
       UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
       UNION ALL SELECT 'pg_attrdef'::regclass, d.oid, c.relnamespace FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
       UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, c.relnamespace FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
       UNION ALL SELECT 'pg_trigger'::regclass, t.oid, c.relnamespace FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid),
     members AS (SELECT classid, objid, refobjid AS extension FROM pg_depend
       WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass),
     edges AS (
       SELECT DISTINCT f.schema AS used_by, t.schema AS uses, m.extension
       FROM pg_depend d JOIN placed f ON f.classid = d.classid AND f.objid = d.objid
       JOIN placed t ON t.classid = d.refclassid AND t.objid = d.refobjid
       LEFT JOIN members m ON m.classid = d.refclassid AND m.objid = d.refobjid
       LEFT JOIN members own ON own.classid = d.classid AND own.objid = d.objid
       WHERE d.deptype IN ('n', 'a', 'i', 'P', 'S') AND own.extension IS NULL),
     wanted (schema) AS (
       SELECT oid FROM pg_namespace WHERE nspname = ANY ($1::text[])
       UNION SELECT e.uses FROM wanted w JOIN edges e ON e.used_by = w.schema AND e.extension IS NULL
       JOIN pg_namespace n ON n.oid = e.uses AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'lethe'))
     SELECT (SELECT json_agg(n.nspname ORDER BY n.nspname) FROM wanted w JOIN pg_namespace n ON n.oid = w.schema) AS schemas,
       (SELECT json_agg(DISTINCT x.extname) FROM wanted w JOIN edges e ON e.used_by = w.schema
          JOIN pg_extension x ON x.oid = e.extension WHERE x.extname <> 'plpgsql') AS extensions`,
    [schemas],
  );
  return {
    schemas: JSON.parse(row?.schemas ?? '[]') as string[],
    extensions: JSON.parse(row?.extensions ?? '[]') as string[],
  };
}
