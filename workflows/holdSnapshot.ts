import {
  ApplicationFailure,
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import type { RunRef } from '../ledger/types.js';
import { describeFailure } from './failures.js';
import { reportSignal } from './messages.js';
import { activitiesOf, type Tuning } from './options.js';

/** Input of `holdSnapshot`. */
export interface HoldSnapshotInput {
  ref: RunRef;
  /** Workflow id of the run's root, which is told when the snapshot cannot be held any more. */
  root: string;
  /** Holders side by side; two keep a snapshot alive over the loss of one worker. */
  holders: number;
  tuning?: Tuning;
}

/**
 * Keeps the source's snapshot open for a run. A workflow of its own, since an activity does not outlive its workflow's
 * continue-as-new. Ended by cancellation; ends by itself when the run's root is closed.
 */
export async function holdSnapshot(input: HoldSnapshotInput): Promise<void> {
  const { holding } = activitiesOf(input.tuning);
  const scope = new CancellationScope();
  const holders = scope.run(async () =>
    Array.from({ length: input.holders }, (_, holder) =>
      holding.holdSnapshot.executeWithOptions({ summary: `holder ${holder}` }, [input.ref, holder]),
    ),
  );
  const all = await holders;
  try {
    // The first that ends for good (run over, snapshot too old) ends the others.
    await Promise.race(all);
  } catch (error) {
    if (isCancellation(error)) return;
    const failure = describeFailure(error);
    await tellRoot(input.root, failure);
    throw ApplicationFailure.nonRetryable(failure.message, failure.type);
  } finally {
    scope.cancel();
    await CancellationScope.nonCancellable(() => Promise.allSettled(all));
  }
}

async function tellRoot(root: string, failure: { type: string; message: string }): Promise<void> {
  const group = workflowInfo().workflowId;
  try {
    await getExternalWorkflowHandle(root).signal(reportSignal, {
      group,
      tables: [],
      ended: { ok: false, ...failure },
    });
  } catch {
    // The root is closed, which may be why the holders ended.
  }
}
