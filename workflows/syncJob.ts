import { isCancellation, workflowInfo } from '@temporalio/workflow';
import type { RunVerdict, SyncJobInput } from '../activities/types.js';
import type { RunRef } from '../ledger/types.js';
import { type Carried, Conductor } from './conductor.js';
import { ending, type Failure, failingPlainly } from './failures.js';
import { checkInput } from './input.js';
import { type Activities, activitiesOf, type Tuning } from './options.js';
import { ReplayWait } from './replayWait.js';
import { leave, planningOf, steer, tagRun } from './steering.js';
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
    () => planningOf(workflowInfo().workflowId, job.job ?? job.file?.name ?? ''),
  );
  const replays = new ReplayWait(job, tuning);
  let checks: RunVerdict['checks'] = [];
  const resolved = carried?.resolved ?? (await failingPlainly(() => activities.planning.resolveJob(job)));
  const { ref } = resolved;
  tagRun(resolved);
  let waitSeconds = carried?.prepared.waitSeconds;
  try {
    if (!conductor) {
      const prepared = await activities.planning.prepareRun(ref, job);
      waitSeconds = prepared.waitSeconds;
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
    const undo = (failure: Failure) => end(activities, ref, conductor, error, failure, checks);
    const ended = await ending(error, undo, 'What was taken away could not be put back');
    const replayed =
      conductor && ended.clean && (await replays.wait(ended.type, ref, conductor, waitSeconds));
    if (replayed) return { run: ref.run, job: ref.job, verdict: replayed.verdict };
    throw ended.error;
  } finally {
    await leave(conductor);
  }
}

/** Stops the tables and ends the run in its ledger. */
async function end(
  activities: Activities,
  ref: RunRef,
  conductor: Conductor | undefined,
  error: unknown,
  { type, message }: Failure,
  checks: RunVerdict['checks'],
): Promise<void> {
  if (!conductor) {
    // Nothing was taken away yet, but a run that is cancelled while it is planned may stand in the ledger. It fails
    // where the ledger, or the run in it, is not there.
    if (isCancellation(error)) {
      await activities.planning
        .finishRun(ref, { state: 'cancelled', error: type, message })
        .catch(() => undefined);
    }
    return;
  }
  await conductor.stopTables();
  const state = isCancellation(error) ? 'cancelled' : 'failed';
  await activities.longControl.finishRun(ref, { state, error: type, message, checks });
}
