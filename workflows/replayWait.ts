import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  executeChild,
  ParentClosePolicy,
  setHandler,
} from '@temporalio/workflow';
import type { ReplayRequest, SyncJobInput } from '../activities/types.js';
import type { RunRef } from '../ledger/types.js';
import type { Conductor } from './conductor.js';
import { describeFailure } from './failures.js';
import { type ReplayAnswer, replayUpdate } from './messages.js';
import type { Tuning } from './options.js';
import type { ReplayResult, replayFailedBatches } from './replayFailedBatches.js';
import { checkReplayInput } from './replayInput.js';

/** Failures after which rows are left that a replay may bring. */
const REPLAYABLE = ['RowsQuarantined', 'QuarantineLimit'];

/**
 * Lets a run that failed because of its rows wait, open, for somebody who mended their cause and sends the update
 * `replay`. By then the run is ended in its ledger and holds nothing. The replay is a workflow of its own, as if it
 * had been started by hand; when it leaves nothing in quarantine, the run succeeds.
 */
export class ReplayWait {
  private waiting: RunRef | undefined;
  private busy = false;
  private result: ReplayResult | undefined;

  constructor(
    private readonly input: SyncJobInput,
    private readonly tuning: Tuning | undefined,
  ) {
    setHandler(replayUpdate, (request?: ReplayRequest) => this.replay(request ?? {}), {
      description:
        'Tries the rows in quarantine again, when the run waits for that: with nothing, or with a corrected job of the job folder, {"job": "crm-staging"}. "tables" and "batches" choose.',
      validator: (request?: ReplayRequest) => this.validate(request ?? {}),
    });
  }

  /** What the replay came to that left nothing in quarantine; undefined when the time was over before there was one. */
  async wait(
    type: string,
    ref: RunRef,
    conductor: Conductor,
    seconds: number | undefined,
  ): Promise<ReplayResult | undefined> {
    if (seconds === undefined || !REPLAYABLE.includes(type)) return undefined;
    await conductor.releaseSnapshot();
    this.waiting = ref;
    conductor.waitForReplay(new Date(Date.now() + seconds * 1_000).toISOString());
    try {
      await condition(() => this.result !== undefined, seconds * 1_000);
      // A replay that was begun in time counts.
      await condition(() => !this.busy);
    } finally {
      this.waiting = undefined;
      await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    }
    return this.result;
  }

  private validate(request: ReplayRequest): void {
    if (!this.waiting) {
      throw ApplicationFailure.nonRetryable(
        'The run does not wait for a replay: it is under way, or has no rows in quarantine.',
        'NothingToReplay',
      );
    }
    if (this.busy) throw busy();
    const given = checkReplayInput(request);
    if (given.run !== undefined && !this.waiting.run.startsWith(given.run)) {
      throw ApplicationFailure.nonRetryable(
        `This is run ${this.waiting.run}, not ${given.run}: leave "run" out.`,
        'JobInvalid',
      );
    }
  }

  private async replay(request: ReplayRequest): Promise<ReplayAnswer> {
    const { run, job } = this.waiting!;
    // Without a corrected job the run is found as it was started; either way in the environment that it was started in.
    const { file, env } = this.input;
    const same = request.job === undefined && request.file === undefined;
    const own = { ...(same && file && { file }), env };
    this.busy = true;
    try {
      const result = await executeChild<typeof replayFailedBatches>('replayFailedBatches', {
        workflowId: `replay:${job}:${run}`,
        args: [{ ...own, ...request, run, tuning: this.tuning }],
        staticSummary: `Replay of run ${run} of ${job}`,
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      });
      this.result = result;
      return { run, ...result.replayed };
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw busy();
      const { type, message } = describeFailure(error);
      throw ApplicationFailure.nonRetryable(message, type);
    } finally {
      this.busy = false;
    }
  }
}

function busy(): ApplicationFailure {
  return ApplicationFailure.nonRetryable('The run is being replayed already.', 'DestinationBusy');
}
