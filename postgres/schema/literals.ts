import type { Finding } from '../../plan/plan.js';
import { query, type Session } from '../session.js';

const KINDS: Readonly<Record<string, string>> = {
  bound: 'partition bounds',
  default: 'column defaults and generated columns',
  check: 'CHECK constraints',
  index: 'index expressions and conditions',
  view: 'views',
  function: 'function bodies',
};

/** Text constants that name something of the schema or of time, not of a person. */
const NAMING = /::(regclass|regproc|regtype|regconfig|interval|boolean)\b/;

/**
 * Warns of constants that a copied schema carries into the destination as they are: somebody has to decide whether a
 * list of names in a CHECK or a partition bound may go there. Says where they stand, not what they are: findings are
 * kept and shown in places where values must not be.
 */
export async function schemaLiterals(session: Session, schemas: readonly string[]): Promise<Finding[]> {
  const rows = await query(
    session,
    `WITH tables AS (
       SELECT c.oid, c.relkind, c.relpartbound, n.nspname || '.' || c.relname AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1::text[]))
     SELECT 'bound' AS kind, name, pg_get_expr(relpartbound, oid) AS text FROM tables WHERE relpartbound IS NOT NULL
     UNION ALL SELECT 'default', t.name || '.' || a.attname, pg_get_expr(d.adbin, d.adrelid) FROM tables t
       JOIN pg_attrdef d ON d.adrelid = t.oid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum
       LEFT JOIN pg_type y ON y.oid = a.atttypid WHERE y.typtype <> 'e'
     UNION ALL SELECT 'check', coalesce(t.name, y.typname) || '.' || k.conname, pg_get_constraintdef(k.oid)
       FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace AND n.nspname = ANY ($1::text[])
       LEFT JOIN tables t ON t.oid = k.conrelid LEFT JOIN pg_type y ON y.oid = k.contypid WHERE k.contype = 'c'
     UNION ALL SELECT 'index', t.name, concat(pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid))
       FROM tables t JOIN pg_index i ON i.indexrelid = t.oid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
     UNION ALL SELECT 'view', name, pg_get_viewdef(oid) FROM tables WHERE relkind IN ('v', 'm')
     UNION ALL SELECT 'function', n.nspname || '.' || p.proname, p.prosrc FROM pg_proc p
       JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
       WHERE n.nspname = ANY ($1::text[]) AND l.lanname <> 'c' AND NOT EXISTS (SELECT FROM pg_depend x
         WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'e')
     ORDER BY 1, 2`,
    [schemas],
  );
  const places = new Map<string, string[]>();
  for (const { kind, name, text } of rows) {
    if (holdsConstant(text ?? '')) places.set(kind!, [...(places.get(kind!) ?? []), name!]);
  }
  return [...places].map(([kind, names]) => ({
    level: 'warning',
    code: 'schema-literal',
    message: `Text constants in ${KINDS[kind]} go into the destination as they are; look whether any is personal: ${listed(names)}.`,
  }));
}

function holdsConstant(text: string): boolean {
  return [...text.matchAll(/'((?:[^']|'')*)'(::[\w ."]+)?/g)].some(
    ([, value, cast]) => /[\p{L}\p{N}]/u.test(value ?? '') && !NAMING.test(cast ?? ''),
  );
}

const SHOWN = 12;

function listed(names: readonly string[]): string {
  const shown = [...new Set(names)];
  return shown.length > SHOWN
    ? `${shown.slice(0, SHOWN).join(', ')} and ${shown.length - SHOWN} more`
    : shown.join(', ');
}
