import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { RunRef } from '../ledger/types.js';
import { holding } from './options.js';

/** Input of `holdSnapshot`. */
export interface HoldSnapshotInput {
  ref: RunRef;
  /** Holders side by side; two keep a snapshot alive over the loss of one worker. */
  holders: number;
}

/**
 * Keeps the source's snapshot open for a run. A workflow of its own, since an activity does not outlive its workflow's
 * continue-as-new. Ended by cancellation; ends by itself when the run's root is closed.
 */
export async function holdSnapshot(input: HoldSnapshotInput): Promise<void> {
  const holders = Array.from({ length: input.holders }, (_, holder) =>
    holding.holdSnapshot.executeWithOptions({ summary: `holder ${holder}` }, [input.ref, holder]),
  );
  try {
    // The first that ends for good (run over, snapshot too old) ends the others.
    await Promise.race(holders);
    CancellationScope.current().cancel();
  } catch (error) {
    if (!isCancellation(error)) throw error;
  } finally {
    await CancellationScope.nonCancellable(() => Promise.allSettled(holders));
  }
}
