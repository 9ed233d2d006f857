import { type ErrorType, LetheError } from '../errors/errors.js';
import { paint } from './terminal.js';

/** What a command ends with. */
export const EXIT = {
  ok: 0,
  /** The run, or what was asked for, failed. */
  failed: 1,
  /** The command line, the job file or what it refers to has to change. */
  badInput: 2,
  /** A server, a right or a program is missing: the surroundings have to change. */
  surroundings: 3,
} as const;

const BY_TYPE: Partial<Record<ErrorType, number>> = {
  JobInvalid: EXIT.badInput,
  UnknownJob: EXIT.badInput,
  UnknownRun: EXIT.badInput,
  NothingToReplay: EXIT.badInput,
  ReferenceUnresolved: EXIT.badInput,
  PlanRefused: EXIT.badInput,
  DestinationUnclaimed: EXIT.badInput,
  DestinationIsSource: EXIT.badInput,
  ObjectMissing: EXIT.badInput,
  RetentionInvalid: EXIT.badInput,
  Unconfirmed: EXIT.badInput,
  Unreachable: EXIT.surroundings,
  AuthenticationFailed: EXIT.surroundings,
  PermissionDenied: EXIT.surroundings,
  ToolMissing: EXIT.surroundings,
  LedgerNewer: EXIT.surroundings,
  DestinationBusy: EXIT.surroundings,
  ClocksDiffer: EXIT.surroundings,
  KeyCopyFailed: EXIT.surroundings,
  MasterKeyUnusable: EXIT.surroundings,
};

/** The exit code of an error type; `failed` for all that are not about input or surroundings. */
export function exitCode(type: ErrorType): number {
  return BY_TYPE[type] ?? EXIT.failed;
}

/**
 * Shows an error as one block and returns the exit code. With `json` the block is a JSON document on stdout. The stack
 * appears with LETHE_DEBUG only; messages of errors that are not ours may hold values, so they do too.
 */
export function reportError(error: unknown, json: boolean): number {
  const known = error instanceof LetheError ? error : unknownError(error);
  if (json) {
    const { type, message, details } = known;
    process.stdout.write(`${JSON.stringify({ error: { type, message, details } }, null, 2)}\n`);
  } else {
    process.stderr.write(`${paint.red('✗')} ${paint.bold(known.type)}\n${indent(known.message)}\n`);
  }
  if (process.env.LETHE_DEBUG && error instanceof Error) process.stderr.write(`\n${error.stack}\n`);
  return exitCode(known.type);
}

function unknownError(error: unknown): LetheError {
  const name = error instanceof Error ? error.name : typeof error;
  const code = (error as { code?: unknown } | null)?.code;
  const what = typeof code === 'string' || typeof code === 'number' ? `${name} (${code})` : name;
  return new LetheError(
    'Internal',
    `Something that Lethe does not know went wrong: ${what}. LETHE_DEBUG=1 shows where.`,
  );
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
