import {
  type Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import type { SyncJobInput } from '../activities/types.js';
import { LetheError } from '../errors/errors.js';
import type { Job } from '../job/types.js';
import { CONTROL_QUEUE } from '../workflows/queues.js';
import type { syncJob } from '../workflows/syncJob.js';

/** Runs that were missed while Temporal was away are caught up within this time. */
const CATCH_UP = '1 hour';

/** Id of the schedule of a job. */
export function scheduleId(job: string): string {
  return `sync:${job}`;
}

/** The job that a schedule of ours runs; undefined for others' schedules. */
export function jobOfSchedule(id: string): string | undefined {
  return id.startsWith('sync:') ? id.slice('sync:'.length) : undefined;
}

export interface Applied {
  readonly id: string;
  readonly action: 'created' | 'updated';
  readonly paused: boolean;
  /** ISO 8601, UTC. */
  readonly next: readonly string[];
}

/**
 * Creates or updates the Temporal schedule of a job: its cron in its time zone, at most one run at a time (a run that
 * is due while another goes on is left out). A schedule that somebody paused stays paused.
 *
 * @throws LetheError `JobInvalid` when the job has no `schedule`.
 */
export async function applySchedule(
  client: Client,
  job: Job,
  input: SyncJobInput,
  taskQueue = CONTROL_QUEUE,
): Promise<Applied> {
  if (!job.schedule) {
    throw new LetheError(
      'JobInvalid',
      `Job ${job.job} has no schedule: add e.g. schedule: { cron: "0 3 * * *", timezone: UTC }, or run \`lethe apply --remove\` to take an earlier one away.`,
    );
  }
  const id = scheduleId(job.job);
  const options = {
    spec: { cronExpressions: [job.schedule.cron], timezone: job.schedule.timezone },
    action: {
      type: 'startWorkflow' as const,
      workflowType: 'syncJob' as const,
      // Temporal adds the time of each start.
      workflowId: `sync:${job.job}:scheduled`,
      taskQueue,
      args: [input] as Parameters<typeof syncJob>,
      staticSummary: `Anonymized sync of ${job.job}, by schedule`,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP } as const,
  };
  const handle = client.schedule.getHandle(id);
  const action = await createSchedule(client, id, options);
  if (action === 'updated') await handle.update((previous) => ({ ...options, state: previous.state }));
  const { state, info } = await handle.describe();
  const next = info.nextActionTimes.slice(0, 3).map((time) => time.toISOString());
  return { id, action, paused: state.paused, next };
}

/** Creates a schedule; `updated` where one is there, which is left as it is. */
export async function createSchedule(
  client: Client,
  scheduleId: string,
  options: object,
): Promise<Applied['action']> {
  try {
    await client.schedule.create({ scheduleId, ...options } as Parameters<Client['schedule']['create']>[0]);
    return 'created';
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return 'updated';
    throw error;
  }
}

/** Takes the schedule of a job away; false when there was none. Runs that go on are not touched. */
export async function removeSchedule(client: Client, job: string): Promise<boolean> {
  try {
    await client.schedule.getHandle(scheduleId(job)).delete();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}
