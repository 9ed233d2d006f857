import { destinationState } from '../claim.js';
import { query, type Session, withTransaction } from '../session.js';
import {
  check,
  checkClock,
  checkConnections,
  checkDirect,
  checkVersion,
  type DoctorCheck,
  listed,
  type Verdict,
} from './check.js';
import { GRANTS, rolesText, tableRights } from './rights.js';
import type { DoctorOptions } from './types.js';

/** What a job needs of its destination. Writes nothing. */
export async function checkDestination(session: Session, options: DoctorOptions): Promise<DoctorCheck[]> {
  const checks: [string, () => Promise<Verdict>][] = [
    ['destination-version', () => checkVersion(session)],
    ['destination-direct', () => checkDirect(session)],
    ['destination-primary', () => checkPrimary(session)],
    ['destination-encoding', () => checkEncoding(session)],
    ['destination-claim', () => checkClaim(session, options)],
    ['destination-role', async () => ({ ok: true, message: await rolesText(session) })],
    ['destination-ledger', () => checkLedger(session)],
    ['destination-rights', () => checkRights(session, options)],
    ['destination-triggers', () => checkTriggers(session)],
    ['destination-event-triggers', () => checkEventTriggers(session)],
    ['destination-connections', () => checkConnections(session, options.destinationConnections ?? 4)],
    ['destination-clock', () => checkClock(session)],
  ];
  const results: DoctorCheck[] = [];
  for (const [name, look] of checks) results.push(await check(name, look));
  return results;
}

async function checkPrimary(session: Session): Promise<Verdict> {
  return session.inRecovery
    ? { ok: false, message: 'the server is a standby', fix: 'Give the job the URL of the primary.' }
    : { ok: true, message: 'the server takes writes' };
}

async function checkEncoding(session: Session): Promise<Verdict> {
  return session.serverEncoding === 'UTF8'
    ? { ok: true, message: 'UTF8' }
    : {
        ok: false,
        required: false,
        message: `the database is ${session.serverEncoding}: characters it lacks are refused row by row`,
        fix: "Create it with ENCODING 'UTF8' TEMPLATE template0.",
      };
}

async function checkClaim(session: Session, { job }: DoctorOptions): Promise<Verdict> {
  const { state, claim } = await destinationState(session);
  const fix = 'Look twice that everything in it may be replaced, then run `lethe claim DEST`.';
  if (state === 'cloned')
    return { ok: false, message: 'it carries the claim of another database: a clone', fix };
  if (state === 'none') {
    return {
      ok: false,
      required: false,
      message: 'nobody claimed it; only empty tables will be loaded',
      fix,
    };
  }
  const jobs = claim?.jobs;
  return job && jobs && !jobs.includes(job)
    ? { ok: false, required: false, message: `claimed for other jobs: ${listed(jobs)}`, fix }
    : { ok: true, message: `claimed by ${claim?.claimedBy}` };
}

async function checkLedger(session: Session): Promise<Verdict> {
  const [row] = await query(
    session,
    `SELECT CASE WHEN to_regnamespace('lethe') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
       ELSE has_schema_privilege('lethe', 'CREATE') END AS may, to_regnamespace('lethe') IS NOT NULL AS there`,
  );
  return row?.may === 't'
    ? {
        ok: true,
        message: row.there === 't' ? 'the schema lethe is there' : 'the schema lethe can be created',
      }
    : { ok: false, message: 'the role may not keep its ledger in the schema lethe', fix: GRANTS };
}

async function checkRights(session: Session, options: DoctorOptions): Promise<Verdict> {
  const tables = await tableRights(session, options);
  const upsert = options.mode === 'upsert';
  const missing = tables.filter(
    (table) => !table.owner && !(upsert && (table.partition || (table.select && table.write))),
  );
  return missing.length === 0
    ? { ok: true, message: `${upsert ? 'may write' : 'owns'} all ${tables.length} tables and partitions` }
    : {
        ok: false,
        message: `${upsert ? 'may not write' : 'is no owner of'} ${listed(missing.map((table) => table.name))}`,
        fix: GRANTS,
      };
}

async function checkTriggers(session: Session): Promise<Verdict> {
  try {
    await withTransaction(session, () => query(session, 'SET LOCAL session_replication_role = replica'));
    return { ok: true, message: 'triggers can be switched off for the session' };
  } catch {
    return {
      ok: false,
      required: false,
      message:
        'session_replication_role is not granted: triggers that fire are switched off one by one, and restored',
      fix: `GRANT SET ON PARAMETER session_replication_role TO ${session.user} (PostgreSQL 15 and newer), or leave it so.`,
    };
  }
}

async function checkEventTriggers(session: Session): Promise<Verdict> {
  const rows = await query(
    session,
    `SELECT evtname AS name FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY 1`,
  );
  const names = rows.map((row) => row.name!);
  return names.length === 0
    ? { ok: true, message: 'no event trigger watches DDL' }
    : {
        ok: false,
        required: false,
        message: `event triggers see every index and key that is dropped and rebuilt: ${listed(names)}`,
        fix: 'Look whether they allow that; ALTER EVENT TRIGGER … DISABLE if not.',
      };
}
