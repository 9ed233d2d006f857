import { type ErrorType, LetheError } from '../errors/errors.js';

/** What of a driver error is safe to keep: names and codes. The rest (`message`, `detail`, `where`, …) holds row values. */
export interface DatabaseErrorDetails {
  /** SQLSTATE, or the code of Node (`ECONNREFUSED`). */
  readonly code?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly dataType?: string;
  /** What the role may not use: `table orders`, `schema crm`. */
  readonly denied?: string;
  /** The C function of the server that raised it; tells causes apart that share a code. */
  readonly routine?: string;
  /** For errors that are no driver's: the class, and the first stack frame. */
  readonly thrown?: string;
  readonly at?: string;
  readonly [key: string]: unknown;
}

interface ErrorClass {
  readonly type: ErrorType;
  readonly says: string;
}

/** By whole SQLSTATE, else by its first two characters. Texts are ours: PostgreSQL's own messages quote values. */
const BY_CODE: Readonly<Record<string, ErrorClass>> = {
  '08': { type: 'Unreachable', says: 'the connection to the server failed' },
  '22': { type: 'DatabaseError', says: 'a value was refused by the database' },
  '23': { type: 'DatabaseError', says: 'a row violates a constraint' },
  '25006': {
    type: 'DatabaseError',
    says: 'the server or transaction is read-only; a destination must be a primary server',
  },
  '25P03': { type: 'Unreachable', says: 'the server ended the session: idle too long in a transaction' },
  '25P04': { type: 'Unreachable', says: 'the server ended the session: transaction_timeout' },
  '28': {
    type: 'AuthenticationFailed',
    says: 'the server refused the login; check user, password, pg_hba.conf, and sslmode in the URL',
  },
  '3D000': { type: 'ObjectMissing', says: 'the database does not exist; check its name in the URL' },
  '3F000': { type: 'ObjectMissing', says: 'a schema does not exist' },
  '40': { type: 'Unreachable', says: 'the transaction was rolled back by the server and may be tried again' },
  '40001': { type: 'Unreachable', says: 'serialization failure; the transaction may be tried again' },
  '40P01': { type: 'Unreachable', says: 'deadlock; the transaction may be tried again' },
  '42501': {
    type: 'PermissionDenied',
    says: 'the role lacks a right, or row-level security hides rows from it; `lethe grants` prints what it needs',
  },
  '42703': { type: 'ObjectMissing', says: 'a column does not exist' },
  '42P01': { type: 'ObjectMissing', says: 'a table does not exist' },
  '53': { type: 'Unreachable', says: 'the server is out of a resource' },
  '53100': { type: 'Unreachable', says: 'the disk of the server is full' },
  '53200': { type: 'Unreachable', says: 'the server is out of memory' },
  '53300': {
    type: 'Unreachable',
    says: 'the server has no connection left; lower `connections` or raise max_connections',
  },
  '55P03': { type: 'Unreachable', says: 'a lock was not available within lock_timeout' },
  '57014': { type: 'Unreachable', says: 'the statement was cancelled, or ran into statement_timeout' },
  '57P': { type: 'Unreachable', says: 'the server ended the session or is not accepting any' },
  '58': { type: 'Unreachable', says: 'the operating system of the server reported a failure' },
};

const NETWORK = new Set(
  `ECONNREFUSED ECONNRESET ECONNABORTED ENOTFOUND EAI_AGAIN ETIMEDOUT EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN EPIPE
   ENOENT EACCES EADDRNOTAVAIL ERR_STREAM_PREMATURE_CLOSE ERR_STREAM_DESTROYED ABORT_ERR`.split(/\s+/),
);

/** The driver's own errors carry neither code nor values; they are told apart by these beginnings. */
const DRIVER_TEXTS: readonly (readonly [RegExp, ErrorClass])[] = [
  [
    /^(Connection terminated|timeout expired|Client has encountered a connection error|Client was closed)/,
    { type: 'Unreachable', says: 'the connection to the server was lost' },
  ],
  [
    /^(SASL: .*password must be|.*no password)/i,
    { type: 'AuthenticationFailed', says: 'the server asks for a password and the URL holds none' },
  ],
  [/^SASL/, { type: 'AuthenticationFailed', says: 'the password exchange with the server failed' }],
  [
    /^The server does not support SSL/,
    {
      type: 'AuthenticationFailed',
      says: 'the server does not offer TLS; use sslmode=disable if that is intended',
    },
  ],
];

/**
 * Turns whatever a driver threw into a `LetheError` that is safe to show, log and put into a history: the class by
 * SQLSTATE or network code, names of schema, table, column and constraint, and nothing else. `doing` is the caller's
 * own text ("reading public.customer") and starts the message. A `LetheError` passes unchanged.
 */
export function sanitize(error: unknown, doing = ''): LetheError {
  if (error instanceof LetheError) return error;
  const found = classify(error);
  const details = safeDetails(error, found !== undefined);
  const { type, says } = found ?? {
    type: 'Internal' as const,
    says: `an unexpected ${details.thrown ?? 'failure'}${details.at ? ` at ${details.at}` : ''}`,
  };
  const names = [
    details.code,
    details.schema && details.table ? `table ${details.schema}.${details.table}` : undefined,
    details.column && `column ${details.column}`,
    details.constraint && `constraint ${details.constraint}`,
    details.dataType && `type ${details.dataType}`,
    details.denied,
  ].filter(Boolean);
  const text = `${doing ? `${doing}: ` : ''}${says}${names.length > 0 ? ` (${names.join(', ')})` : ''}.`;
  return new LetheError(type, text.charAt(0).toUpperCase() + text.slice(1), details);
}

/** Why one row, and not the surroundings, made a statement fail: what the bisecting loader puts into quarantine. */
export interface RowError {
  readonly code: string;
  readonly constraint?: string;
  readonly column?: string;
}

/**
 * The row's fault, or undefined where the surroundings are at fault and a retry may help. Takes a driver error or what
 * `sanitize` made of it. Rows are blamed by: data exceptions (22…), integrity violations (23…), a duplicate conflict
 * key inside one upsert (21000), a row or index entry that is too big (54000), and exceptions of triggers (P0001).
 */
export function rowErrorClass(error: unknown): RowError | undefined {
  const from = (error instanceof LetheError ? error.details : error) as
    | DatabaseErrorDetails
    | null
    | undefined;
  const code = text(from?.code);
  if (!code || !/^(22...|23...|21000|54000|P0001)$/.test(code)) return undefined;
  return { code, constraint: text(from?.constraint), column: text(from?.column) };
}

function classify(error: unknown): ErrorClass | undefined {
  const { code, message } = flatten(error);
  if (code && isSqlState(code)) {
    return (
      BY_CODE[code] ??
      BY_CODE[code.slice(0, 3)] ??
      BY_CODE[code.slice(0, 2)] ?? { type: 'DatabaseError', says: 'the database refused a statement' }
    );
  }
  if (code && NETWORK.has(code)) return { type: 'Unreachable', says: 'the server cannot be reached' };
  if (code && /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return {
      type: 'AuthenticationFailed',
      says: 'the TLS certificate was not accepted; check sslmode and sslrootcert',
    };
  }
  return DRIVER_TEXTS.find(([pattern]) => pattern.test(message))?.[1];
}

/** Node tries several addresses and throws them all in an AggregateError; the first tells enough. */
function flatten(error: unknown): { code?: string; message: string } {
  if (error instanceof AggregateError && !('code' in error && error.code)) return flatten(error.errors[0]);
  const e = error as { code?: unknown; message?: unknown } | null | undefined;
  return { code: text(e?.code), message: text(e?.message) ?? '' };
}

function safeDetails(error: unknown, classified: boolean): DatabaseErrorDetails {
  const e = (error ?? {}) as Record<string, unknown>;
  const details: Record<string, unknown> = { code: flatten(error).code };
  if (isSqlState(details.code)) {
    for (const name of ['schema', 'table', 'column', 'constraint', 'dataType', 'routine'])
      details[name] = text(e[name]);
  }
  details.denied = deniedObject(details, text(e.message) ?? '');
  if (!classified) {
    details.thrown = error instanceof Error ? error.constructor.name : typeof error;
    details.at = firstFrame(error);
  }
  return Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
}

/**
 * The server names what is denied only in its message. Its own routines put nothing else there; a function of the
 * database may raise the same code with any text.
 */
function deniedObject({ code, routine }: Record<string, unknown>, message: string): string | undefined {
  if (code !== '42501') return undefined;
  if (routine === 'aclcheck_error') return /^permission denied for ([a-z]+ .+)$/.exec(message)?.[1];
  if (routine !== 'check_enable_rls') return undefined;
  const table = /^query would be affected by row-level security policy for table "(.+)"$/.exec(message)?.[1];
  return table && `table ${table}`;
}

/** File and line only: the head of a stack repeats the message. */
function firstFrame(error: unknown): string | undefined {
  const stack = error instanceof Error ? error.stack : undefined;
  return stack?.match(/\n\s+at [^\n]*?([\w.-]+\.[cm]?[jt]s:\d+)/)?.[1];
}

function isSqlState(code: unknown): boolean {
  // Every SQLSTATE has a digit, no code of Node does (EPIPE, EPERM).
  return typeof code === 'string' && /^(?=.*[0-9])[0-9A-Z]{5}$/.test(code);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
