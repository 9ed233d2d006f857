import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ResolvedRun, RunVerdict, SyncJobInput } from '../activities/types.js';
import type { RunRef } from '../ledger/types.js';
import { JOB_ATTRIBUTE, MODE_ATTRIBUTE, RUN_ATTRIBUTE } from './attributes.js';
import { type Carried, Conductor } from './conductor.js';
import { describeFailure } from './failures.js';
import { checkInput } from './input.js';
import { type Activities, activitiesOf, type Tuning } from './options.js';
import { steer } from './steering.js';
import { refuseVerdict } from './verdict.js';

/** Input of `syncJob`, with what it hands itself over continue-as-new. */
export interface SyncJobWorkflowInput extends SyncJobInput {
  /** Set by the workflow itself. */
  carried?: Carried;
  /** For tests. */
  tuning?: Tuning;
}

export interface SyncResult {
  run: string;
  job: string;
  verdict: RunVerdict;
}

/**
 * One run of a job: plans, loads every table through a `syncTable` of its own, settles, validates. Fails with a typed
 * error unless every row arrived and every check passed; whatever the end, nothing that was taken away stays away.
 */
export async function syncJob(input?: SyncJobWorkflowInput): Promise<SyncResult> {
  const { carried, tuning, ...job } = checkInput(input);
  const activities = activitiesOf(tuning);
  // Buffered signals reach their handlers as soon as these are set, so the conductor of a later leg is there before.
  let conductor =
    carried && new Conductor(carried.resolved, carried.prepared, { ...job, tuning }, false, carried);
  const wishes = steer(
    () => conductor,
    () => planning(job),
  );
  let checks: RunVerdict['checks'] = [];
  const resolved = carried?.resolved ?? (await resolve(activities, job));
  const { ref } = resolved;
  upsertSearchAttributes([
    { key: JOB_ATTRIBUTE, value: ref.job },
    { key: RUN_ATTRIBUTE, value: ref.run },
    { key: MODE_ATTRIBUTE, value: resolved.mode },
  ]);
  try {
    if (!conductor) {
      const prepared = await activities.planning.prepareRun(ref, job);
      conductor = new Conductor(resolved, prepared, { ...job, tuning }, wishes.paused);
      await conductor.holdSnapshot();
      await activities.longControl.openDestination(ref);
    }
    await conductor.loadTables();
    conductor.enter('settling');
    conductor.warn(await activities.longControl.settleReferences(ref));
    conductor.enter('validating');
    const verdict = await activities.longControl.validateRun(ref);
    checks = verdict.checks;
    refuseVerdict(verdict, ref.run);
    await activities.longControl.finishRun(ref, { state: 'complete', checks });
    return { run: ref.run, job: ref.job, verdict };
  } catch (error) {
    if (conductor?.isContinuing(error)) throw error;
    const failure = describeFailure(error);
    const undone = await CancellationScope.nonCancellable(() =>
      undo(activities, ref, conductor, error, failure, checks),
    );
    if (isCancellation(error) && !undone) throw error;
    throw ApplicationFailure.nonRetryable([failure.message, undone].filter(Boolean).join(' '), failure.type);
  } finally {
    if (!conductor?.continuing) {
      await CancellationScope.nonCancellable(async () => conductor?.releaseSnapshot());
      conductor?.enter('ended');
    }
  }
}

async function resolve(activities: Activities, job: SyncJobInput): Promise<ResolvedRun> {
  try {
    return await activities.planning.resolveJob(job);
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { type, message } = describeFailure(error);
    throw ApplicationFailure.nonRetryable(message, type);
  }
}

/** Stops the tables and ends the run in its ledger. Returns what could not be done, as a sentence. */
async function undo(
  activities: Activities,
  ref: RunRef,
  conductor: Conductor | undefined,
  error: unknown,
  failure: { type: string; message: string },
  checks: RunVerdict['checks'],
): Promise<string | undefined> {
  if (!conductor) return endPlanned(activities, ref, error);
  try {
    await conductor.stopTables();
    const state = isCancellation(error) ? 'cancelled' : 'failed';
    await activities.longControl.finishRun(ref, {
      state,
      error: failure.type,
      message: failure.message,
      checks,
    });
    return undefined;
  } catch (second) {
    return `What was taken away could not be put back: ${describeFailure(second).message} Run \`lethe restore\` once that is mended.`;
  }
}

/** Nothing was taken away yet, but a run that is cancelled while it is planned may stand in the ledger. */
async function endPlanned(activities: Activities, ref: RunRef, error: unknown): Promise<undefined> {
  if (!isCancellation(error)) return;
  const { type, message } = describeFailure(error);
  // It fails where the ledger, or the run in it, is not there.
  await activities.planning
    .finishRun(ref, { state: 'cancelled', error: type, message })
    .catch(() => undefined);
}

function planning(job: SyncJobInput) {
  return {
    run: workflowInfo().workflowId,
    job: job.job ?? job.file?.name ?? '',
    phase: 'planning' as const,
    paused: false,
    concurrency: 0,
    tables: [],
    warnings: [],
  };
}
