import { quoteLiteral } from '../identifiers.js';
import { findPgDump } from '../schema/pgDump.js';
import { query, type Session, withSession, withTransaction } from '../session.js';
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

/** What a job needs of its source. */
export async function checkSource(session: Session, options: DoctorOptions): Promise<DoctorCheck[]> {
  const checks: [string, () => Promise<Verdict>][] = [
    ['source-version', () => checkVersion(session)],
    ['source-direct', () => checkDirect(session)],
    ['source-snapshot', () => checkSnapshot(session, options)],
    ['source-role', async () => ({ ok: true, message: await rolesText(session) })],
    ['source-rights', () => checkSelect(session, options)],
    ['source-row-security', () => checkRowSecurity(session, options)],
    ['source-temporary', () => checkTemporary(session)],
    ['source-connections', () => checkConnections(session, options.sourceConnections ?? 4)],
    ['source-clock', () => checkClock(session)],
    ['source-old-snapshots', () => checkSnapshotAge(session)],
  ];
  if (options.createSchema) checks.push(['source-pg-dump', () => checkPgDump(session)]);
  const results: DoctorCheck[] = [];
  for (const [name, look] of checks) results.push(await check(name, look));
  return results;
}

/** A snapshot that one session exports must be readable by another, while the first stays open. */
async function checkSnapshot(session: Session, options: DoctorOptions): Promise<Verdict> {
  const fix =
    'Give the job a URL that leads to the server itself, or to a pooler in session mode with one server behind it.';
  return withTransaction(
    session,
    async () => {
      const [exported] = await query(session, 'SELECT pg_export_snapshot() AS id');
      const url = options.sourceUrl!;
      const other = {
        url,
        role: 'source',
        applicationName: options.applicationName,
        encoding: options.encoding,
      } as const;
      return withSession(other, async (second) => {
        try {
          await query(second, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
          await query(second, `SET TRANSACTION SNAPSHOT ${quoteLiteral(exported?.id ?? '')}`);
          await query(second, 'ROLLBACK');
          return { ok: true, message: 'a snapshot can be exported and read by another session' };
        } catch {
          return { ok: false, message: 'another session could not read under an exported snapshot', fix };
        }
      });
    },
    { isolation: 'repeatable read', readOnly: true },
  );
}

async function checkSelect(session: Session, options: DoctorOptions): Promise<Verdict> {
  const tables = await tableRights(session, options);
  const missing = tables.filter((table) => !table.select).map((table) => table.name);
  return missing.length === 0
    ? { ok: true, message: `SELECT on all ${tables.length} tables and partitions` }
    : { ok: false, message: `no SELECT on ${listed(missing)}`, fix: GRANTS };
}

async function checkRowSecurity(session: Session, options: DoctorOptions): Promise<Verdict> {
  const tables = await tableRights(session, options);
  const hidden = tables.filter((table) => table.rowSecurity).map((table) => table.name);
  return hidden.length === 0
    ? { ok: true, message: 'row security hides no rows from the role' }
    : {
        ok: false,
        message: `row security may hide rows of ${listed(hidden)}; reading them fails rather than copy some`,
        fix: `ALTER ROLE ${session.user} BYPASSRLS, or use the tables' owner.`,
      };
}

async function checkTemporary(session: Session): Promise<Verdict> {
  if (session.inRecovery) {
    const [row] = await query(session, `SELECT current_setting('max_standby_streaming_delay') AS delay`);
    return {
      ok: row?.delay === '-1',
      required: false,
      message: `a standby; it cancels readers after max_standby_streaming_delay = ${row?.delay}`,
      fix: 'Set max_standby_streaming_delay = -1 and hot_standby_feedback = on there, or read from the primary.',
    };
  }
  const [row] = await query(session, `SELECT has_database_privilege(current_database(), 'TEMPORARY') AS may`);
  return row?.may === 't'
    ? { ok: true, message: 'temporary tables can be made' }
    : {
        ok: false,
        message: 'the role may not make temporary tables, which hold key bounds out of the log',
        fix: GRANTS,
      };
}

async function checkSnapshotAge(session: Session): Promise<Verdict> {
  const [row] = await query(session, `SELECT current_setting('old_snapshot_threshold', true) AS threshold`);
  const threshold = row?.threshold ?? '-1';
  return threshold === '-1'
    ? { ok: true, message: 'the server keeps old snapshots' }
    : {
        ok: false,
        required: false,
        message: `old_snapshot_threshold = ${threshold}: snapshots older than that are lost`,
        fix: 'Set old_snapshot_threshold = -1 on the source.',
      };
}

async function checkPgDump(session: Session): Promise<Verdict> {
  const tool = await findPgDump(Math.floor(session.serverVersion / 10_000));
  return { ok: true, message: `pg_dump ${tool.version} at ${tool.path}` };
}
