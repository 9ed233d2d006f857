import pg from 'pg';
import { parse, toClientConfig } from 'pg-connection-string';
import { LetheError } from '../errors/errors.js';
import { sanitize } from './errors.js';
import { quoteLiteral } from './identifiers.js';

export type SessionRole = 'source' | 'destination' | 'key store';

export interface SessionOptions {
  /** `postgres://user:password@host:port/database?sslmode=…`, with libpq's meaning of sslmode. */
  readonly url: string;
  /** Which database this is, for error messages and for what gets pinned. */
  readonly role: SessionRole;
  /** `lethe:<run>/<partition>/<attempt>`, at most 63 bytes: a later attempt finds and ends this backend by it. */
  readonly applicationName: string;
  /** Transactions are read-only unless they say otherwise. Default: true for a source. */
  readonly readOnly?: boolean;
  /** Milliseconds; 0 is no limit. Default 0. */
  readonly statementTimeoutMs?: number;
  /** Milliseconds; 0 is no limit. Default 0. */
  readonly lockTimeoutMs?: number;
  /** Milliseconds for connecting and logging in. Default 15,000. */
  readonly connectTimeoutMs?: number;
  /** What the bytes of a SQL_ASCII database are, e.g. `UTF8`, `LATIN1`. Required there, ignored elsewhere. */
  readonly encoding?: string;
  /** Settings sent in the startup packet, which no server logs as a statement; names have a dot: `lethe.bound_0`. */
  readonly startup?: Readonly<Record<string, string>>;
  /** Destroys the connection when aborted; whatever runs on it fails with `Unreachable`. */
  readonly signal?: AbortSignal;
}

/** One connection with everything pinned that could change what text a value is written or read as. */
export interface Session {
  /** For COPY streams and row-array queries; every type arrives as text. */
  readonly client: pg.Client;
  readonly role: SessionRole;
  readonly applicationName: string;
  /** 150018 for PostgreSQL 15.18. */
  readonly serverVersion: number;
  /** Of the database: `UTF8`, `LATIN1`, …, `SQL_ASCII`. */
  readonly serverEncoding: string;
  /** What bytes on this connection are: `UTF8`, except on SQL_ASCII, where it is what the job declared. */
  readonly encoding: string;
  /** Backend process id, for `pg_terminate_backend`. */
  readonly pid: number;
  readonly user: string;
  readonly superuser: boolean;
  /** A standby: no temp tables, no writes. */
  readonly inRecovery: boolean;
  /** Set once the connection was lost; then every query fails with it. */
  readonly lost: LetheError | undefined;
  /** Ends the connection; never throws. */
  close(): Promise<void>;
}

/** Every value is text or NULL: integers beyond 2^53 and dates never pass through a JavaScript number or Date. */
export type TextRow = Record<string, string | null>;

/** Settings and the value that must come back. Undefined: not compared (the server prints timeouts with units). */
const PINNED: readonly (readonly [name: string, value: string, printed?: string])[] = [
  ['client_encoding', 'UTF8', 'UTF8'],
  ['DateStyle', 'ISO, MDY', 'ISO, MDY'],
  ['IntervalStyle', 'postgres', 'postgres'],
  ['TimeZone', 'UTC', 'UTC'],
  ['timezone_abbreviations', 'Default', 'Default'],
  ['extra_float_digits', '3', '3'],
  ['bytea_output', 'hex', 'hex'],
  ['lc_monetary', 'C', 'C'],
  ['lc_numeric', 'C', 'C'],
  ['lc_time', 'C', 'C'],
  ['xmloption', 'content', 'content'],
  ['xmlbinary', 'base64', 'base64'],
  ['search_path', '', ''],
  ['row_security', 'off', 'off'],
  ['standard_conforming_strings', 'on', 'on'],
  ['array_nulls', 'on', 'on'],
  ['transform_null_equals', 'off', 'off'],
  ['synchronize_seqscans', 'off', 'off'],
  ['check_function_bodies', 'off', 'off'],
  ['default_tablespace', '', ''],
  ['default_transaction_isolation', 'read committed', 'read committed'],
  ['default_transaction_deferrable', 'off', 'off'],
  ['client_min_messages', 'warning', 'warning'],
  ['jit', 'off', 'off'],
  ['idle_in_transaction_session_timeout', '0', '0'],
];

/** Pinned where the server knows them: newer versions, or platforms. */
const PINNED_IF_KNOWN: readonly (readonly [name: string, value: string])[] = [
  ['transaction_timeout', '0'],
  ['idle_session_timeout', '0'],
  // A worker that was killed must not leave its index build or its locks behind.
  ['client_connection_check_interval', '10s'],
  ['tcp_keepalives_idle', '30'],
  ['tcp_keepalives_interval', '10'],
  ['tcp_keepalives_count', '3'],
];

/** A table that was swapped for a view while pg_dump-like tools read it would run its owner's code as our role. */
const PINNED_ON_SOURCE = [['restrict_nonsystem_relation_kind', 'view, foreign-table']] as const;

const CONNECT_TIMEOUT_MS = 15_000;

/**
 * Opens a session: the only place that does. Connects with TCP keepalive, pins every setting that pg_dump pins and
 * more (see `PINNED`) in one round trip, and checks that each took. Settings are set after connecting, not in the
 * startup packet, since poolers refuse or drop those. Errors name host-free facts only; the URL never appears.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  if (Buffer.byteLength(options.applicationName) > 63) {
    throw new LetheError(
      'Internal',
      'An application_name longer than 63 bytes would be cut off by the server.',
    );
  }
  if (/^mongodb(\+srv)?:/.test(options.url)) {
    throw new LetheError(
      'JobInvalid',
      `The ${options.role} is MongoDB, over which this does not work yet. docs/mongodb.md says what does.`,
    );
  }
  const where = `connecting to the ${options.role}`;
  const client = new pg.Client(clientConfig(options));
  const state: { lost?: LetheError; closing?: boolean } = {};
  // Without a listener, an error on an idle connection would end the process.
  client.on('error', (error) => {
    if (!state.closing) state.lost ??= sanitize(error, `connection to the ${options.role}`);
  });
  const destroy = () => destroySocket(client);
  if (options.signal?.aborted) throw aborted(options.role);
  options.signal?.addEventListener('abort', destroy, { once: true });
  try {
    await client.connect();
    const facts = await pinSettings(client, options);
    return {
      client,
      role: options.role,
      applicationName: options.applicationName,
      ...facts,
      get lost() {
        return state.lost;
      },
      async close() {
        state.closing = true;
        options.signal?.removeEventListener('abort', destroy);
        await client.end().catch(() => undefined);
      },
    };
  } catch (error) {
    options.signal?.removeEventListener('abort', destroy);
    destroySocket(client);
    throw options.signal?.aborted ? aborted(options.role) : sanitize(error, where);
  }
}

/** Runs one statement. Rows are text. Parameters are for names, ids and counts: servers log them with their values. */
export async function query<R extends TextRow = TextRow>(
  session: Session,
  text: string,
  params: readonly unknown[] = [],
): Promise<R[]> {
  return (await run<R>(session, text, params)).rows;
}

/** Like `query`, for the number of rows that a statement changed. */
export async function execute(
  session: Session,
  text: string,
  params: readonly unknown[] = [],
): Promise<number> {
  return (await run(session, text, params)).rowCount ?? 0;
}

export interface TransactionOptions {
  /** Default `read committed`. */
  readonly isolation?: 'read committed' | 'repeatable read';
  /** Default: the session's. */
  readonly readOnly?: boolean;
}

/** Runs `body` in a transaction: COMMIT when it returns, ROLLBACK when it throws. No nesting. */
export async function withTransaction<T>(
  session: Session,
  body: () => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const isolation = options.isolation ?? 'read committed';
  const access = options.readOnly === undefined ? '' : options.readOnly ? ' READ ONLY' : ' READ WRITE';
  await query(session, `BEGIN ISOLATION LEVEL ${isolation.toUpperCase()}${access}`);
  try {
    const result = await body();
    await query(session, 'COMMIT');
    return result;
  } catch (error) {
    await query(session, 'ROLLBACK').catch(() => undefined);
    throw error instanceof LetheError ? error : sanitize(error);
  }
}

/** Opens a session, hands it to `body`, and closes it whatever happens. */
export async function withSession<T>(
  options: SessionOptions,
  body: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(options);
  try {
    return await body(session);
  } finally {
    await session.close();
  }
}

/**
 * The driver's settings for a URL. libpq's meaning of sslmode (`require` encrypts without checking the certificate,
 * `verify-full` checks it), as psql and pg_dump read the same URL.
 */
export function connectionConfig(url: string, role: SessionRole): pg.ClientConfig {
  if (!/^(postgres(ql)?|socket):\/\//.test(url)) {
    throw new LetheError('JobInvalid', `The ${role}'s URL must begin with postgres:// or postgresql://.`);
  }
  try {
    const parsed = parse(url.replace(/([?&])uselibpqcompat=[^&]*&?/, '$1'), { useLibpqCompat: true });
    return toClientConfig(parsed);
  } catch {
    // The parser's message may quote the URL.
    throw new LetheError(
      'JobInvalid',
      `The ${role}'s URL cannot be read; special characters in user or password must be percent-encoded, sslrootcert ` +
        'must be a readable file, and sslmode=verify-ca needs it.',
    );
  }
}

/** Settings as a startup packet's `options`, and libpq's PGOPTIONS, have them: `-c name=value …`. */
export function startupOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(
      // The server splits the options at blanks that no backslash protects.
      ([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`,
    )
    .join(' ');
}

function clientConfig(options: SessionOptions): pg.ClientConfig {
  const config = connectionConfig(options.url, options.role);
  return {
    ...config,
    options: [config.options, startupOptions(options.startup ?? {})].filter(Boolean).join(' ') || undefined,
    application_name: options.applicationName,
    client_encoding: 'UTF8',
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    connectionTimeoutMillis: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    types: { getTypeParser: () => (value: string) => value },
  };
}

type Facts = Pick<
  Session,
  'serverVersion' | 'serverEncoding' | 'encoding' | 'pid' | 'user' | 'superuser' | 'inRecovery'
>;

async function pinSettings(client: pg.Client, options: SessionOptions): Promise<Facts> {
  const readOnly = (options.readOnly ?? options.role === 'source') ? 'on' : 'off';
  const required = [
    ...PINNED,
    ['default_transaction_read_only', readOnly, readOnly],
    ['statement_timeout', String(options.statementTimeoutMs ?? 0)],
    ['lock_timeout', String(options.lockTimeoutMs ?? 0)],
    ['application_name', options.applicationName, options.applicationName],
  ] as const;
  const known = [...PINNED_IF_KNOWN, ...(options.role === 'source' ? PINNED_ON_SOURCE : [])];
  // set_config returns what is then in force. One statement, so one round trip, with or without a pooler.
  const sets = required.map(
    ([name, value], i) => `set_config('${name}', ${quoteLiteral(value)}, false) AS s${i}`,
  );
  const soft = known.map(
    ([name, value], i) =>
      `CASE WHEN current_setting('${name}', true) IS NOT NULL THEN set_config('${name}', '${value}', false) END AS k${i}`,
  );
  const result = await client.query<TextRow>(`SELECT ${[...sets, ...soft].join(', ')},
    current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding,
    pg_catalog.pg_backend_pid() AS pid, current_user AS "user", pg_catalog.pg_is_in_recovery() AS recovery,
    (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS superuser`);
  const row = result.rows[0] ?? {};
  const failed = required.flatMap(([name, , printed], i) =>
    printed === undefined || row[`s${i}`] === printed ? [] : [name],
  );
  if (failed.length > 0) {
    throw new LetheError(
      'DatabaseError',
      `The ${options.role} did not take the session settings ${failed.join(', ')}; connect to the server directly or through a pooler in session mode.`,
    );
  }
  return {
    serverVersion: Number(row.version),
    serverEncoding: row.encoding ?? '',
    encoding: textEncoding(row.encoding ?? '', options),
    pid: Number(row.pid),
    user: row.user ?? '',
    superuser: row.superuser === 't',
    inRecovery: row.recovery === 't',
  };
}

function textEncoding(serverEncoding: string, options: SessionOptions): string {
  if (serverEncoding !== 'SQL_ASCII') return 'UTF8';
  if (options.encoding) return options.encoding.toUpperCase();
  throw new LetheError(
    'JobInvalid',
    options.role === 'source'
      ? 'The source is a SQL_ASCII database: it does not know what its bytes mean. Say it in the job file: source: { encoding: UTF8 } (or LATIN1, WIN1252, …).'
      : "The destination is a SQL_ASCII database, which takes any bytes for text. Create it anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
  );
}

async function run<R extends TextRow>(session: Session, text: string, params: readonly unknown[]) {
  if (session.lost) throw session.lost;
  try {
    return await session.client.query<R>(text, params.length > 0 ? [...params] : undefined);
  } catch (error) {
    throw sanitize(error, `on the ${session.role}`);
  }
}

function aborted(role: string): LetheError {
  return new LetheError('Unreachable', `Connecting to the ${role} was given up: the work was cancelled.`);
}

/** `end()` on a connection that hangs waits for the peer; the socket does not. */
function destroySocket(client: pg.Client): void {
  const connection = (client as unknown as { connection?: { stream?: { destroy(): void } } }).connection;
  connection?.stream?.destroy();
}
