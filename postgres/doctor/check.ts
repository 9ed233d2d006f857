import { LetheError } from '../../errors/errors.js';
import { sanitize } from '../errors.js';
import { query, type Session } from '../session.js';

/** One thing that `lethe doctor` looked at. */
export interface DoctorCheck {
  /** Stable, kebab-case, with the side in front: `source-reachable`. */
  readonly name: string;
  readonly ok: boolean;
  /** False: a run works without it, but slower or with less safety. */
  readonly required: boolean;
  /** What was found. */
  readonly message: string;
  /** What to do about it; always there when not ok. */
  readonly fix?: string;
}

export interface Verdict {
  readonly ok: boolean;
  readonly message: string;
  readonly fix?: string;
  /** Default true. */
  readonly required?: boolean;
}

/** Runs one check; an error is a finding, never the end of the rest. */
export async function check(name: string, look: () => Promise<Verdict>): Promise<DoctorCheck> {
  try {
    const { required = true, fix, ...verdict } = await look();
    return { name, required, ...verdict, ...(verdict.ok ? {} : { fix }) };
  } catch (error) {
    const safe = error instanceof LetheError ? error : sanitize(error);
    return {
      name,
      ok: false,
      required: true,
      message: safe.message,
      fix: FIXES[safe.type] ?? 'Remove the cause and run doctor again.',
    };
  }
}

const FIXES: Readonly<Record<string, string>> = {
  Unreachable:
    'Check host and port of the URL, that the server runs, and that a firewall lets this machine through.',
  AuthenticationFailed: 'Check user, password and sslmode of the URL, and pg_hba.conf of the server.',
  ObjectMissing: 'Check the database name of the URL.',
  PermissionDenied: 'Run what `lethe grants JOB` prints.',
  ToolMissing: 'Install it, or set createSchema: false and create the tables yourself.',
  JobInvalid: 'Correct the job file or the URL.',
};

/** Servers that Lethe is made for; 15 and 18 are tested. */
const OLDEST = 130_000;

export async function checkVersion(session: Session): Promise<Verdict> {
  const version = `PostgreSQL ${Math.floor(session.serverVersion / 10_000)}.${session.serverVersion % 10_000}`;
  return session.serverVersion >= OLDEST
    ? { ok: true, message: version }
    : { ok: false, message: `${version} is too old`, fix: 'Upgrade the server to PostgreSQL 13 or newer.' };
}

/** More than this, and timestamps in reports, leases and `:run_time` disagree. */
const SKEW_SECONDS = 5;

export async function checkClock(session: Session): Promise<Verdict> {
  const before = Date.now();
  const [row] = await query(session, 'SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now');
  const skew = Math.abs(Number(row?.now) - (before + Date.now()) / 2) / 1000;
  const message = `the server's clock differs from this machine's by ${skew.toFixed(1)} s`;
  return skew <= SKEW_SECONDS
    ? { ok: true, message }
    : { ok: false, required: false, message, fix: 'Synchronize both clocks (NTP).' };
}

/** Whether the connections that a job wants are to be had. */
export async function checkConnections(session: Session, wanted: number): Promise<Verdict> {
  const [row] = await query(
    session,
    `SELECT least(
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       (SELECT CASE WHEN datconnlimit < 0 THEN 1000000 ELSE datconnlimit END FROM pg_database WHERE datname = current_database())
         - (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
       (SELECT CASE WHEN rolconnlimit < 0 THEN 1000000 ELSE rolconnlimit END FROM pg_roles WHERE rolname = current_user)
         - (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user)) AS free`,
  );
  const free = Number(row?.free);
  const message = `${free} connections are free, the job takes up to ${wanted}`;
  return free >= wanted
    ? { ok: true, message }
    : {
        ok: false,
        message,
        fix: 'Lower `connections` in the job file, or raise max_connections, or the limit of the role or database.',
      };
}

/** PgBouncer and its like answer with a process id of their own. */
export async function checkDirect(session: Session): Promise<Verdict> {
  const { processID } = session.client as unknown as { processID: number | null };
  return processID === session.pid
    ? { ok: true, message: 'connected to the server directly' }
    : {
        ok: false,
        required: false,
        message: 'a connection pooler is between',
        fix: 'Best connect to the server directly: one connection must keep its session for the whole run.',
      };
}

/** At most a few names, then a number. */
export function listed(names: readonly string[], shown = 8): string {
  return names.length > shown
    ? `${names.slice(0, shown).join(', ')} and ${names.length - shown} more`
    : names.join(', ');
}
