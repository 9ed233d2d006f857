import { workflowInfo } from '@temporalio/workflow';
import type { BegunReplay, ReplayInput, RunVerdict } from '../activities/types.js';
import { REPLAY_PASSES } from '../ledger/states.js';
import type { RunRef } from '../ledger/types.js';
import { type Carried, Conductor } from './conductor.js';
import { ending, type Failure, failingPlainly } from './failures.js';
import { type Activities, activitiesOf, type Tuning } from './options.js';
import { checkReplayInput } from './replayInput.js';
import { leave, planningOf, steer, tagRun } from './steering.js';
import { refuseVerdict } from './verdict.js';

/** Input of `replayFailedBatches`, with what it hands itself over continue-as-new. */
export interface ReplayWorkflowInput extends ReplayInput {
  /** Set by the workflow itself. */
  carried?: Carried;
  begun?: BegunReplay;
  /** For tests. */
  tuning?: Tuning;
}

export interface ReplayResult {
  run: string;
  job: string;
  verdict: RunVerdict;
  /** Rows that left the quarantine: copied, or gone at the source. */
  replayed: Replayed;
}

interface Replayed {
  copied: number;
  gone: number;
}

/**
 * Finishes a failed run: loads tables whose load was cut short, and tries the rows again that are in quarantine, under a
 * new snapshot of the source and by the plan that the run pinned, or by a corrected job. Then settles what is owed,
 * validates, and ends the run anew: complete when nothing is left, else failed with what is. Started with nothing, it
 * lists the runs that may be replayed.
 */
export async function replayFailedBatches(input?: ReplayWorkflowInput): Promise<ReplayResult> {
  const { carried, tuning, begun: known, ...request } = checkReplayInput(input);
  const activities = activitiesOf(tuning);
  let conductor =
    carried && new Conductor(carried.resolved, carried.prepared, { begun: known, tuning }, false, carried);
  const wishes = steer(
    () => conductor,
    () => planningOf(request.run ?? '', request.job ?? request.file?.name ?? ''),
  );
  const begun = known ?? (await begin(activities, request));
  const { ref, mode, prepared, again } = begun;
  const replayed = { copied: 0, gone: 0 };
  let checks: RunVerdict['checks'] = [];
  try {
    if (!conductor) {
      conductor = new Conductor({ ref, mode }, prepared, { begun, tuning }, wishes.paused);
      await conductor.endFormerSnapshot();
      await conductor.holdSnapshot();
      await activities.longControl.openReplay(ref, { loaded: prepared.layers.flat(), again });
    }
    await conductor.loadTables();
    await replayRows(activities, begun, conductor, replayed);
    conductor.enter('settling');
    await activities.longControl.settleTables(ref, begun.tables);
    conductor.warn(await activities.longControl.settleReferences(ref));
    conductor.enter('validating');
    const verdict = await activities.longControl.validateRun(ref);
    checks = verdict.checks;
    refuseVerdict(verdict, ref.run);
    await activities.longControl.finishRun(ref, { state: 'complete', checks, replayed });
    return { run: ref.run, job: ref.job, verdict, replayed };
  } catch (error) {
    if (conductor?.isContinuing(error)) throw error;
    const undo = (failure: Failure) => end(activities, ref, conductor, failure, { checks, replayed });
    throw (await ending(error, undo, 'The replay could not be ended')).error;
  } finally {
    await leave(conductor);
  }
}

/** Until the run is open again nothing has to be undone. */
function begin(activities: Activities, request: ReplayInput): Promise<BegunReplay> {
  return failingPlainly(async () => {
    const found = await activities.planning.findReplay(request);
    tagRun(found);
    return activities.planning.beginReplay(found.ref, request);
  });
}

/** Passes over the rows, parents before children, as long as any of them brings a parent that others wait for. */
async function replayRows(
  activities: Activities,
  { ref, order, prepared, batches }: BegunReplay,
  conductor: Conductor,
  replayed: Replayed,
): Promise<void> {
  const names = new Map(prepared.tables.map(({ id, name }) => [id, name]));
  const totals = new Map(prepared.tables.map(({ id }) => [id, 0]));
  const group = workflowInfo().workflowId;
  const first = (ref.replay ?? 0) * REPLAY_PASSES;
  let tables = order.flat();
  for (let pass = 0; tables.length > 0 && pass < REPLAY_PASSES; pass += 1) {
    const before = replayed.copied;
    const waiting = new Set<number>();
    for (const table of tables) {
      const summary = `${names.get(table)}${pass === 0 ? '' : ` · pass ${pass + 1}`}`;
      const done = await activities.data.replayRows.executeWithOptions({ summary }, [
        ref,
        { table, pass: first + pass, waiting: pass > 0, ...(batches && { batches }) },
      ]);
      replayed.copied += done.rows;
      replayed.gone += done.gone;
      totals.set(table, totals.get(table)! + done.rows);
      if (done.waiting > 0) waiting.add(table);
      const state = { id: table, rows: totals.get(table)!, quarantined: done.quarantined };
      conductor.take({ group, tables: [{ ...state, state: 'done' }] });
    }
    if (replayed.copied === before) break;
    tables = tables.filter((table) => waiting.has(table));
  }
}

/** The run is failed again, whatever became of the replay, and may be replayed again. */
async function end(
  activities: Activities,
  ref: RunRef,
  conductor: Conductor | undefined,
  { type, message }: Failure,
  so: { checks: RunVerdict['checks']; replayed: Replayed },
): Promise<void> {
  await conductor?.stopTables();
  await activities.longControl.finishRun(ref, { state: 'failed', error: type, message, ...so });
}
