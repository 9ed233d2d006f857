import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { ERROR_TYPES, LetheError } from '../errors/errors.js';

/**
 * What Temporal may keep of an error: type, our own message, safe particulars. Whatever is not a `LetheError` could
 * quote a value in its message, so only its class and where it was thrown remain. Never a cause.
 */
export function toFailure(error: unknown): ApplicationFailure | CancelledFailure {
  if (error instanceof CancelledFailure) return new CancelledFailure('cancelled');
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof LetheError) {
    return ApplicationFailure.create({
      type: error.type,
      message: error.message,
      nonRetryable: ERROR_TYPES[error.type] === 'never',
      // Another worker may take it; ours is as good as any until then, so the wait stays short.
      nextRetryDelay: ERROR_TYPES[error.type] === 'elsewhere' ? '2 s' : undefined,
      details: [error.details],
    });
  }
  const name = error instanceof Error ? error.name : typeof error;
  return ApplicationFailure.create({
    type: 'Internal',
    message: `Internal error (${name}) at ${placeOf(error)}. This is a defect of Lethe; please report it with this line.`,
  });
}

/** `file.js:12:3` of the innermost frame: a stack's first line would be the message. */
export function placeOf(error: unknown): string {
  const frame =
    error instanceof Error ? /\n\s+at .*?([\w.-]+\.[cm]?[jt]s:\d+:\d+)\)?/.exec(error.stack ?? '') : null;
  return frame?.[1] ?? 'an unknown place';
}
