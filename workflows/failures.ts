import { ActivityFailure, ApplicationFailure, TemporalFailure, TimeoutFailure } from '@temporalio/workflow';

/** Type and message of what made a workflow fail: the application failure at the root of the chain. */
export function describeFailure(error: unknown): { type: string; message: string } {
  let cause: unknown = error;
  while (cause instanceof ActivityFailure && cause.cause) cause = cause.cause;
  if (cause instanceof ApplicationFailure) {
    return { type: cause.type ?? 'Internal', message: cause.message };
  }
  if (cause instanceof TimeoutFailure) {
    return {
      type: 'Unreachable',
      message:
        'An activity timed out: no worker took it, or the worker that had it went away. Check that a worker polls both task queues.',
    };
  }
  if (cause instanceof TemporalFailure) return { type: cause.name, message: cause.message };
  return { type: 'Internal', message: error instanceof Error ? error.name : 'unknown failure' };
}
