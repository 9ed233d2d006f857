import type { DatabaseIdentity } from '../../plan/catalog.js';
import { query, type Session } from '../session.js';

/**
 * Which database this is. `system` (from initdb, shared by a server, its standbys and its physical clones) is '' where
 * the role may not call `pg_control_system()`; the database's oid and name are always there. A logical clone or a
 * restored dump gets another oid, a physical clone another nonce in its claim.
 */
export async function readIdentity(session: Session): Promise<DatabaseIdentity> {
  const [row] = await query(
    session,
    `SELECT oid, datname AS name,
            has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS control
     FROM pg_catalog.pg_database WHERE datname = current_database()`,
  );
  const system =
    row?.control === 't'
      ? await query(session, 'SELECT system_identifier AS id FROM pg_control_system()')
      : [];
  return { system: system[0]?.id ?? '', oid: row?.oid ?? '', name: row?.name ?? '' };
}

/**
 * Whether two open sessions are on one database, whatever names, addresses and rights they use. Where the system
 * identifiers are known they decide (so a standby of a database counts as the same). Else an advisory lock that the
 * first session takes is looked for by the second: `pg_locks` shows it to every role.
 */
export async function sameDatabase(one: Session, other: Session): Promise<boolean> {
  const [a, b] = [await readIdentity(one), await readIdentity(other)];
  if (a.oid !== b.oid || a.name !== b.name) return false;
  if (a.system !== '' && b.system !== '') return a.system === b.system;
  const [lock] = await query(
    one,
    `SELECT high, low, pg_advisory_lock(high, low) AS taken
     FROM (SELECT (random() * 2147483647)::int AS high, (random() * 2147483647)::int AS low) AS r`,
  );
  const key = [lock?.high, lock?.low];
  try {
    const seen = await query(
      other,
      `SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted
         AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
         AND classid = $1::bigint AND objid = $2::bigint AND objsubid = 2`,
      key,
    );
    return seen.length > 0;
  } finally {
    await query(one, 'SELECT pg_advisory_unlock($1::int, $2::int)', key);
  }
}
