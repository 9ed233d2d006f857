import {
  ApplicationFailure,
  CancellationScope,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ResolvedRun } from '../activities/types.js';
import { JOB_ATTRIBUTE, MODE_ATTRIBUTE, RUN_ATTRIBUTE } from './attributes.js';
import type { Conductor } from './conductor.js';
import {
  concurrencyUpdate,
  type Progress,
  pauseSignal,
  progressQuery,
  reportSignal,
  resumeSignal,
} from './messages.js';

/** What people asked for before there was a conductor. */
export interface Wishes {
  paused: boolean;
}

/**
 * Sets the handlers by which a run or a replay is watched and steered. Buffered signals reach them as soon as they are
 * set, so the conductor of a later leg must be there before.
 *
 * @param planning The progress while there is no conductor.
 */
export function steer(conductor: () => Conductor | undefined, planning: () => Progress): Wishes {
  const wishes: Wishes = { paused: false };
  setHandler(progressQuery, () => conductor()?.progress() ?? planning(), {
    description: 'Tables, rows and phase of the run.',
  });
  const pause = (on: boolean) => {
    wishes.paused = on;
    return conductor()?.pause(on);
  };
  setHandler(pauseSignal, () => pause(true), {
    description: 'Starts no new partition until resumed. Those under way finish.',
  });
  setHandler(resumeSignal, () => pause(false), { description: 'Goes on after a pause.' });
  setHandler(reportSignal, (report) => conductor()?.take(report), {
    description: 'Sent by the workflows of the tables.',
  });
  setHandler(concurrencyUpdate, ({ partitions }) => conductor()!.setConcurrency(partitions), {
    description: 'Changes how many partitions are in flight at once, over all tables: {"partitions": 8}.',
    validator: ({ partitions }) => {
      if (!conductor())
        throw ApplicationFailure.nonRetryable('The run is still being planned.', 'JobInvalid');
      if (!Number.isInteger(partitions) || partitions < 1 || partitions > 1000) {
        throw ApplicationFailure.nonRetryable(
          '"partitions" must be a whole number from 1 to 1000.',
          'JobInvalid',
        );
      }
    },
  });
  return wishes;
}

/** Makes the workflow found by its run. */
export function tagRun({ ref, mode }: ResolvedRun): void {
  upsertSearchAttributes([
    { key: JOB_ATTRIBUTE, value: ref.job },
    { key: RUN_ATTRIBUTE, value: ref.run },
    { key: MODE_ATTRIBUTE, value: mode },
  ]);
}

/** Last of a run or a replay, unless it goes on in another leg. */
export async function leave(conductor: Conductor | undefined): Promise<void> {
  if (conductor?.continuing) return;
  await CancellationScope.nonCancellable(async () => conductor?.releaseSnapshot());
  conductor?.enter('ended');
}

/** The progress of a run that has no tables yet. */
export function planningOf(run: string, job: string): Progress {
  return { run, job, phase: 'planning', paused: false, concurrency: 0, tables: [], warnings: [] };
}
