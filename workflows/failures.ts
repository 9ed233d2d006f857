import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowFailure,
  isCancellation,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';

/** What people are told of a failure. */
export interface Failure {
  readonly type: string;
  readonly message: string;
}

/** Type and message of what made a workflow fail: the application failure at the root of the chain. */
export function describeFailure(error: unknown): Failure {
  let cause: unknown = error;
  while ((cause instanceof ActivityFailure || cause instanceof ChildWorkflowFailure) && cause.cause)
    cause = cause.cause;
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

/** Does what needs no undoing: its failure ends the workflow at once, by its own type. */
export async function failingPlainly<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { type, message } = describeFailure(error);
    throw ApplicationFailure.nonRetryable(message, type);
  }
}

/**
 * Undoes what a failed run, or a replay of one, has done, also when it was cancelled.
 *
 * @param undo Its failure is told with what made the run fail.
 * @param what What could not be done then, as the beginning of a sentence.
 */
export async function ending(
  error: unknown,
  undo: (failure: Failure) => Promise<void>,
  what: string,
): Promise<Ending> {
  const failure = describeFailure(error);
  const undone = await CancellationScope.nonCancellable(async () => {
    try {
      await undo(failure);
      return undefined;
    } catch (second) {
      return `${what}: ${describeFailure(second).message} Run \`lethe restore\` once that is mended.`;
    }
  });
  if (isCancellation(error) && !undone) return { type: failure.type, clean: true, error };
  const message = [failure.message, undone].filter(Boolean).join(' ');
  return {
    type: failure.type,
    clean: undone === undefined,
    error: ApplicationFailure.nonRetryable(message, failure.type),
  };
}

/** How a run ends that did not succeed. */
export interface Ending {
  readonly type: string;
  /** Everything was undone. */
  readonly clean: boolean;
  /** To be thrown. */
  readonly error: unknown;
}
