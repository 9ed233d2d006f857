import { query, type Session } from '../../../postgres/session.js';

/*
 * What a database is made of, one line an object, so that two states compare as texts. Everything that `replace` might
 * take away, and everything else that a run must leave alone.
 */

const OUTSIDE = `n.nspname NOT IN ('lethe', 'information_schema') AND n.nspname !~ '^pg_'`;
const NAMESPACE = 'JOIN pg_namespace n ON n.oid = c.relnamespace';

const PARTS: Readonly<Record<string, string>> = {
  constraint: `SELECT k.conrelid::regclass::text || ' ' || k.conname, concat_ws(' ', pg_get_constraintdef(k.oid),
      'valid', k.convalidated, 'deferrable', k.condeferrable, k.condeferred, 'inherited', k.coninhcount, k.conislocal)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid ${NAMESPACE} WHERE ${OUTSIDE}`,
  index: `SELECT c.oid::regclass::text, concat_ws(' ', pg_get_indexdef(c.oid), 'valid', i.indisvalid, i.indisready,
      'primary', i.indisprimary, 'immediate', i.indimmediate, 'clustered', i.indisclustered, 'identity', i.indisreplident,
      'tablespace', c.reltablespace, 'options', c.reloptions)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid ${NAMESPACE} WHERE ${OUTSIDE}`,
  trigger: `SELECT t.tgrelid::regclass::text || ' ' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid ${NAMESPACE} WHERE NOT t.tgisinternal AND ${OUTSIDE}`,
  'key trigger': `SELECT t.tgrelid::regclass::text || ' ' || k.conname, t.tgfoid::regproc::text || ' ' || t.tgenabled::text
    FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint
    JOIN pg_class c ON c.oid = t.tgrelid ${NAMESPACE} WHERE t.tgisinternal AND ${OUTSIDE}`,
  rule: `SELECT r.ev_class::regclass::text || ' ' || r.rulename, pg_get_ruledef(r.oid) || ' ' || r.ev_enabled::text
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class ${NAMESPACE} WHERE ${OUTSIDE}`,
  policy: `SELECT p.polrelid::regclass::text || ' ' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive, p.polroles,
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid ${NAMESPACE} WHERE ${OUTSIDE}`,
  relation: `SELECT c.relkind::text || ' ' || c.oid::regclass, concat_ws(' ', c.relpersistence, c.relowner::regrole,
      'security', c.relrowsecurity, c.relforcerowsecurity, 'identity', c.relreplident, 'rights', c.relacl,
      'space', c.reltablespace, 'options', c.reloptions,
      CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, pg_get_expr(c.relpartbound, c.oid),
      CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)
    FROM pg_class c ${NAMESPACE} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ${OUTSIDE}`,
  inheritance: `SELECT h.inhrelid::regclass::text, h.inhparent::regclass::text || ' ' || h.inhseqno
    FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid ${NAMESPACE} WHERE ${OUTSIDE}`,
  column: `SELECT a.attrelid::regclass::text || ' ' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
      a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attcollation::regcollation,
      pg_get_expr(d.adbin, d.adrelid), a.attacl)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid ${NAMESPACE}
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm') AND ${OUTSIDE}`,
  sequence: `SELECT c.oid::regclass::text, concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin,
      s.seqmax, s.seqcache, s.seqcycle, (SELECT d.refobjid::regclass::text || '.' || d.refobjsubid FROM pg_depend d
        WHERE d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0))
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid ${NAMESPACE} WHERE ${OUTSIDE}`,
  function: `SELECT p.oid::regprocedure::text, md5(pg_get_functiondef(p.oid))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND ${OUTSIDE}`,
  comment: `SELECT i.type || ' ' || i.identity, d.description
    FROM pg_description d CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
    WHERE i.schema NOT IN ('lethe', 'information_schema') AND i.schema !~ '^pg_'`,
};

/** Lines `kind name: definition`, sorted. */
export async function definitions(session: Session): Promise<string[]> {
  const lines: string[] = [];
  for (const [kind, select] of Object.entries(PARTS)) {
    const rows = await query(session, `SELECT * FROM (${select}) AS x(name, definition)`);
    for (const { name, definition } of rows) lines.push(`${kind} ${name}: ${definition}`);
  }
  return lines.sort();
}
