import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateStage,
} from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/common';
import { uuidv7 } from 'uuidv7';
import type { ReplayInput, ReplayRequest, SyncJobInput } from '../activities/types.js';
import { ERROR_TYPES, type ErrorType, LetheError } from '../errors/errors.js';
import type { Progress, ReplayAnswer } from '../workflows/messages.js';
import { CONTROL_QUEUE } from '../workflows/queues.js';
import type { replayFailedBatches } from '../workflows/replayFailedBatches.js';
import type { SyncResult, syncJob } from '../workflows/syncJob.js';

export type SyncHandle = WorkflowHandle<typeof syncJob>;
export type ReplayHandle = WorkflowHandle<typeof replayFailedBatches>;
/** A run, or a replay of one: what it can be asked for. */
export interface Followable<R> {
  readonly workflowId: string;
  readonly query: SyncHandle['query'];
  readonly describe: SyncHandle['describe'];
  readonly cancel: SyncHandle['cancel'];
  result(): Promise<R>;
}

/** The one workflow that may replay a run at a time. */
export function replayWorkflowId(job: string, run: string): string {
  return `replay:${job}:${run}`;
}

/**
 * Starts a replay of a run.
 *
 * @throws LetheError `DestinationBusy` when one is under way.
 */
export async function startReplay(
  client: Client,
  { job, run }: { readonly job: string; readonly run: string },
  input: ReplayInput,
  taskQueue = CONTROL_QUEUE,
): Promise<ReplayHandle> {
  const workflowId = replayWorkflowId(job, run);
  try {
    return await client.workflow.start<typeof replayFailedBatches>('replayFailedBatches', {
      taskQueue,
      workflowId,
      args: [input],
      staticSummary: `Replay of run ${run} of ${job}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw new LetheError(
      'DestinationBusy',
      `Run ${run} is being replayed already (workflow ${workflowId}). Wait for its end, or cancel it: \`lethe cancel ${run}\`.`,
      { run, workflowId },
    );
  }
}

/** Starts a run of a job. The workflow's id is `sync:<job>:<id>`; the run's own id comes with its progress. */
export function startSync(
  client: Client,
  job: string,
  input: SyncJobInput,
  taskQueue = CONTROL_QUEUE,
): Promise<SyncHandle> {
  return client.workflow.start<typeof syncJob>('syncJob', {
    taskQueue,
    workflowId: `sync:${job}:${uuidv7()}`,
    args: [input],
    staticSummary: `Anonymized sync of ${job}`,
  });
}

/** The newest run of a job that is still open, by its workflow's id. */
export async function openSync(client: Client, job: string): Promise<SyncHandle | undefined> {
  const query = `WorkflowType = 'syncJob' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) {
    if (workflowId.startsWith(`sync:${job}:`) && !workflowId.includes('/'))
      return client.workflow.getHandle<typeof syncJob>(workflowId);
  }
  return undefined;
}

/** The replay of a run that is still open. */
export async function openReplay(
  client: Client,
  { job, run }: { readonly job: string; readonly run: string },
): Promise<ReplayHandle | undefined> {
  const handle = client.workflow.getHandle<typeof replayFailedBatches>(replayWorkflowId(job, run));
  const description = await handle.describe().catch(() => undefined);
  return description?.status.name === 'RUNNING' ? handle : undefined;
}

/** The workflow of a run that has failed and waits, open, for a replay. */
export async function waitingRun(
  client: Client,
  { run, workflowId }: { readonly run: string; readonly workflowId: string },
): Promise<SyncHandle | undefined> {
  const waits = async (id: string) => {
    const handle = client.workflow.getHandle<typeof syncJob>(id);
    const progress = await progressOf(handle);
    return progress?.phase === 'waiting' && progress.run === run ? handle : undefined;
  };
  const own = await waits(workflowId);
  if (own) return own;
  // A replay that failed is in the ledger instead of it.
  const query = `LetheRun = '${run}' AND WorkflowType = 'syncJob' AND ExecutionStatus = 'Running'`;
  try {
    for await (const one of client.workflow.list({ query })) {
      const found = await waits(one.workflowId);
      if (found) return found;
    }
  } catch {
    // The cluster may lack our search attributes.
  }
  return undefined;
}

/**
 * Asks a run that waits for it to be replayed, and returns the workflow that does it.
 *
 * @throws LetheError with what the run refuses it for.
 */
export async function askForReplay(
  client: Client,
  waiting: SyncHandle,
  { job, run }: { readonly job: string; readonly run: string },
  request: ReplayRequest,
): Promise<ReplayHandle> {
  const workflowId = replayWorkflowId(job, run);
  const execution = async () =>
    (
      await client.workflow
        .getHandle(workflowId)
        .describe()
        .catch(() => undefined)
    )?.runId;
  const before = await execution();
  try {
    const update = await waiting.startUpdate<ReplayAnswer, [ReplayRequest]>('replay', {
      args: [request],
      waitForStage: WorkflowUpdateStage.ACCEPTED,
    });
    // It ends before the replay has begun only when there will be none.
    let over = false;
    const answer = update.result().finally(() => {
      over = true;
    });
    answer.catch(() => undefined);
    for (;;) {
      const last = over;
      const now = await execution();
      if (now !== undefined && now !== before)
        return client.workflow.getHandle<typeof replayFailedBatches>(workflowId, now);
      if (last) await answer;
      await sleep(100);
    }
  } catch (error) {
    throw runError(error, waiting.workflowId);
  }
}

/** How many workers ask for workflow tasks of a queue. */
export async function pollers(client: Client, namespace: string, taskQueue = CONTROL_QUEUE): Promise<number> {
  // 1: workflow tasks.
  const answer = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: 1,
  });
  return answer.pollers?.length ?? 0;
}

export type RunOutcome<R = SyncResult> =
  | { readonly ok: true; readonly result: R }
  /** `RunEnded` for a run that was cancelled or terminated. */
  | { readonly ok: false; readonly error: LetheError };

export interface FollowOptions {
  /** Called with each new state of the run, about twice a second. */
  readonly onProgress: (progress: Progress) => void;
  /** Called with what an activity of the run fails with while it is tried again, each text once in a row. */
  readonly onTrouble?: (trouble: string) => void;
  /** Stops following; the run goes on. */
  readonly signal?: AbortSignal;
}

/** Rounds of half a second between looks at activities that are tried again. */
const TROUBLE_EVERY = 6;

/** Follows a run to its end; undefined when `signal` stopped that. */
export async function followSync<R = SyncResult>(
  handle: Followable<R>,
  options: FollowOptions,
): Promise<RunOutcome<R> | undefined> {
  let over = false;
  const end = outcomeOf(handle).finally(() => {
    over = true;
  });
  let told: string | undefined;
  const watch = async () => {
    for (let round = 1; !over && !options.signal?.aborted; round++) {
      const progress = await progressOf(handle);
      if (progress && !over) options.onProgress(progress);
      if (options.onTrouble && round % TROUBLE_EVERY === 0) {
        const trouble = await troubleOf(handle);
        if (trouble !== undefined && trouble !== told && !over) options.onTrouble(trouble);
        told = trouble;
      }
      await Promise.race([end, sleep(500)]);
    }
  };
  const stopped = new Promise<undefined>((resolve) => {
    if (options.signal?.aborted) resolve(undefined);
    options.signal?.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const watching = watch();
  const outcome = await Promise.race([end, stopped]);
  over = true;
  await watching;
  return outcome;
}

/** What a run says of itself; undefined while no worker answers. */
export async function progressOf(handle: Pick<SyncHandle, 'query'>): Promise<Progress | undefined> {
  try {
    return await handle.query<Progress, []>('progress');
  } catch {
    return undefined;
  }
}

/** What the activity of a run that was tried most often failed with; its text holds no value. */
async function troubleOf(handle: Pick<SyncHandle, 'describe'>): Promise<string | undefined> {
  const description = await handle.describe().catch(() => undefined);
  const failing = (description?.raw.pendingActivities ?? [])
    .filter((activity) => (activity.attempt ?? 0) > 1 && activity.lastFailure?.message)
    .sort((a, b) => (b.attempt ?? 0) - (a.attempt ?? 0));
  const [first] = failing;
  return first ? `${first.activityType?.name}: ${first.lastFailure?.message}` : undefined;
}

async function outcomeOf<R>(handle: Followable<R>): Promise<RunOutcome<R>> {
  try {
    return { ok: true, result: await handle.result() };
  } catch (error) {
    return { ok: false, error: runError(error, handle.workflowId) };
  }
}

/** A failed workflow's failure as our own error, with its type. */
export function runError(error: unknown, workflowId: string): LetheError {
  if (error instanceof LetheError) return error;
  if (error instanceof WorkflowNotFoundError) {
    return new LetheError(
      'UnknownRun',
      `Temporal knows no workflow ${workflowId}: wrong namespace, or older than its retention.`,
    );
  }
  if (!(error instanceof WorkflowFailedError || error instanceof WorkflowUpdateFailedError)) {
    return new LetheError(
      'Unreachable',
      `Temporal stopped answering while the run ${workflowId} was followed. The run goes on; \`lethe runs\` shows it.`,
    );
  }
  const { cause } = error;
  if (cause instanceof ApplicationFailure) {
    const type = cause.type && cause.type in ERROR_TYPES ? (cause.type as ErrorType) : 'Internal';
    return new LetheError(type, cause.message, { workflowId });
  }
  if (cause instanceof CancelledFailure) {
    return new LetheError(
      'RunEnded',
      'The run was cancelled. What it had taken away from the destination was put back.',
      { workflowId },
    );
  }
  if (cause instanceof TerminatedFailure || cause instanceof TimeoutFailure) {
    return new LetheError(
      'RunEnded',
      'The run was terminated. What it took away from the destination comes back with the next run, or with `lethe restore`.',
      { workflowId },
    );
  }
  return new LetheError(
    'Internal',
    `The run ended in a way that Lethe does not know; look at ${workflowId} in the Temporal UI.`,
    { workflowId },
  );
}
