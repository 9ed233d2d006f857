import { quoteIdent } from '../identifiers.js';
import { PHASE, type Removal } from '../ledger/ddl.js';
import { execute, query, type Session } from '../session.js';
import { oidArray, type Relation } from './relations.js';

/**
 * How triggers and rules are kept from firing for Lethe's rows. `replica`: each writing session is in
 * `session_replication_role = replica`, and only what fires there too (ALWAYS, REPLICA) is disabled by name; `named`:
 * whatever fires in an ordinary session is disabled by name.
 */
export type Silence = 'replica' | 'named';

/**
 * Which way is open to this role. `upsert` writes with foreign keys in place, and `replica` would bypass those; so it
 * always names.
 */
export async function silenceFor(session: Session, mode: 'replace' | 'upsert'): Promise<Silence> {
  if (mode === 'upsert') return 'named';
  if (session.superuser) return 'replica';
  // Being refused would end the surrounding transaction, so the right is looked up. Before 15 it could not be granted.
  if (session.serverVersion < 150000) return 'named';
  const [row] = await query(
    session,
    `SELECT pg_catalog.has_parameter_privilege('session_replication_role', 'SET') AS granted`,
  );
  return row?.granted === 't' ? 'replica' : 'named';
}

/** Puts the session into the state that `silenceFor` found, for the whole session or the current transaction. */
export async function silence(
  session: Session,
  mode: 'replace' | 'upsert',
  scope: 'session' | 'transaction',
): Promise<Silence> {
  const way = await silenceFor(session, mode);
  if (way === 'replica') {
    await execute(
      session,
      `SET ${scope === 'session' ? 'SESSION' : 'LOCAL'} session_replication_role = replica`,
    );
  }
  return way;
}

const COMMAND: Readonly<Record<string, string>> = { O: 'ENABLE', A: 'ENABLE ALWAYS', R: 'ENABLE REPLICA' };

/** Triggers and rules that would fire, and row-level security that would hide rows from the owner, as removals. */
export async function guardRemovals(
  session: Session,
  relations: readonly Relation[],
  way: Silence,
): Promise<Removal[]> {
  const firing = way === 'replica' ? '{A,R}' : '{A,O}';
  const rows = await query(session, GUARDS, [oidArray(relations.map((r) => r.oid)), firing]);
  const byOid = new Map(relations.map((r) => [r.oid, r]));
  return rows.map((row): Removal => {
    const relation = byOid.get(String(row.relation))!;
    const { schema, name: table } = relation.table.destination;
    const common = { schema, table, phase: PHASE.guard, facts: {} };
    const object = String(row.name ?? table);
    if (row.kind === 'row security') {
      return {
        ...common,
        kind: 'row security',
        object,
        drop: [`ALTER TABLE ONLY ${relation.sql} NO FORCE ROW LEVEL SECURITY`],
        restore: [`ALTER TABLE ONLY ${relation.sql} FORCE ROW LEVEL SECURITY`],
      };
    }
    const kind = row.kind === 'rule' ? 'rule' : 'trigger';
    const what = `${kind.toUpperCase()} ${quoteIdent(object)}`;
    return {
      ...common,
      kind,
      object,
      drop: [`ALTER TABLE ONLY ${relation.sql} DISABLE ${what}`],
      restore: [`ALTER TABLE ONLY ${relation.sql} ${COMMAND[String(row.enabled)]} ${what}`],
    };
  });
}

const GUARDS = `
  SELECT 'trigger' AS kind, g.tgrelid AS relation, g.tgname AS name, g.tgenabled AS enabled
    FROM pg_catalog.pg_trigger g
   WHERE g.tgrelid = ANY ($1::oid[]) AND NOT g.tgisinternal AND g.tgenabled = ANY ($2::"char"[])
  UNION ALL
  SELECT 'rule', r.ev_class, r.rulename, r.ev_enabled
    FROM pg_catalog.pg_rewrite r
   WHERE r.ev_class = ANY ($1::oid[]) AND r.ev_type <> '1' AND r.ev_enabled = ANY ($2::"char"[])
  UNION ALL
  SELECT 'row security', c.oid, NULL, NULL
    FROM pg_catalog.pg_class c
   WHERE c.oid = ANY ($1::oid[]) AND c.relrowsecurity AND c.relforcerowsecurity
     AND NOT (SELECT u.rolsuper OR u.rolbypassrls FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)
   ORDER BY 2, 1, 3`;
