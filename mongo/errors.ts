import { type ErrorType, LetheError } from '../errors/errors.js';

interface ErrorClass {
  readonly type: ErrorType;
  readonly says: string;
}

/** By the server's error code. Its own messages quote values, so the texts are ours. */
const BY_CODE: Readonly<Record<number, ErrorClass>> = {
  13: { type: 'PermissionDenied', says: 'the user lacks a right; docs/mongodb.md lists what a run needs' },
  18: {
    type: 'AuthenticationFailed',
    says: 'the server refused the login; check user, password and authSource in the URL',
  },
  26: { type: 'ObjectMissing', says: 'a collection does not exist' },
  59: { type: 'DatabaseError', says: 'the server does not know this command' },
  73: { type: 'ObjectMissing', says: 'the name of a database or collection is not valid' },
  121: { type: 'DatabaseError', says: 'a document was refused by the validator of its collection' },
  8000: { type: 'AuthenticationFailed', says: 'the server refused the login' },
  10334: { type: 'DatabaseError', says: 'a document is larger than 16 MB' },
  11000: { type: 'DatabaseError', says: 'a document has a key that is taken already' },
  17280: { type: 'DatabaseError', says: 'a key is too long for its index' },
};

/** The server is going away, elects a primary, or is out of something: it may be tried again. */
const PASSING = new Set([
  6, 7, 24, 43, 46, 50, 63, 64, 79, 89, 91, 112, 133, 134, 150, 175, 189, 202, 234, 237, 244, 251, 262, 267,
  290, 317, 384, 9001, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 16500,
]);

const PASSING_NAMES =
  /^Mongo(Network|ServerSelection|Topology|PoolClear|WaitQueue|ConnectionPool|NotConnected|ExpiredSession|OperationTimeout|ClientClosed|ServerClosed|CursorExhausted)/;

/**
 * Turns whatever a driver threw into a `LetheError` that is safe to show, log and put into a history: class and code,
 * nothing of the message. `doing` is the caller's own text ("reading shop.customers") and starts the message. A
 * `LetheError` passes unchanged.
 */
export function sanitize(error: unknown, doing = ''): LetheError {
  if (error instanceof LetheError) return error;
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  const { type, says } = classify(error);
  const text = `${doing ? `${doing}: ` : ''}${says}${typeof code === 'number' ? ` (code ${code})` : ''}.`;
  return new LetheError(type, text.charAt(0).toUpperCase() + text.slice(1), {
    ...((typeof code === 'number' || typeof code === 'string') && { code }),
    ...(typeof name === 'string' && { thrown: name }),
  });
}

/** A sentence about a code that a server gave for one document. */
export function codeText(code: number): string {
  return BY_CODE[code]?.says ?? 'the server refused the document';
}

function classify(error: unknown): ErrorClass {
  const { code, name, message } = (error ?? {}) as { code?: unknown; name?: unknown; message?: unknown };
  const text = typeof message === 'string' ? message : '';
  if (typeof code === 'number' && BY_CODE[code]) return BY_CODE[code];
  if (typeof code === 'number' && PASSING.has(code)) {
    return {
      type: 'Unreachable',
      says: 'the server is changing over or out of a resource; it may be tried again',
    };
  }
  if (typeof name === 'string') {
    if (/^Mongo(Parse|MissingCredentials|MissingDependency|InvalidArgument)/.test(name)) {
      return {
        type: 'JobInvalid',
        says: 'the connection URL has a mistake, or an option that this server does not take',
      };
    }
    if (name === 'MongoCompatibilityError' || /wire version/.test(text)) {
      return { type: 'DatabaseError', says: 'the server is too old for the installed driver' };
    }
    if (/Authentication failed/i.test(text)) return BY_CODE[18]!;
    if (PASSING_NAMES.test(name))
      return { type: 'Unreachable', says: 'the server cannot be reached, or the connection was lost' };
    if (name === 'MongoServerError' || name === 'MongoBulkWriteError') {
      return { type: 'DatabaseError', says: 'the server refused a command' };
    }
    if (name === 'AbortError') return { type: 'Unreachable', says: 'the work was stopped' };
  }
  if (typeof code === 'string' && /^(E[A-Z_]+|ABORT_ERR)$/.test(code)) {
    return { type: 'Unreachable', says: 'the server cannot be reached' };
  }
  const thrown = error instanceof Error ? error.constructor.name : typeof error;
  const at =
    error instanceof Error
      ? /\n\s+at [^\n]*?([\w.-]+\.[cm]?[jt]s:\d+)/.exec(error.stack ?? '')?.[1]
      : undefined;
  return { type: 'Internal', says: `an unexpected ${thrown}${at ? ` at ${at}` : ''}` };
}
