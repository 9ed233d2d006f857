import { type Client, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import type { KeyStoreRef } from '../activities/keyTypes.js';
import type { RetentionFile } from '../job/retention/types.js';
import type { destroyDayKeys } from '../workflows/destroyDayKeys.js';
import type { generateDayKeys } from '../workflows/generateDayKeys.js';
import { CONTROL_QUEUE } from '../workflows/queues.js';
import { type Applied, createSchedule } from './schedule.js';

/**
 * Runs that were missed while Temporal was away are caught up within this time: one of each would do, since they look at what
 * is there. Below seven days, so that a clock that jumped cannot be followed step by step.
 */
const CATCH_UP = '1 day';

const WORKFLOWS = ['generateDayKeys', 'destroyDayKeys'] as const;
type KeyWorkflow = (typeof WORKFLOWS)[number];

const SAYS: Readonly<Record<KeyWorkflow, string>> = {
  generateDayKeys: 'Makes the next day keys of',
  destroyDayKeys: 'Destroys the due day keys of',
};

/** Id of the schedule of a key store. */
export function keyScheduleId(workflow: KeyWorkflow, keyStore: string): string {
  return `${workflow}:${keyStore}`;
}

/** Whether a schedule is one of ours about keys. */
export function isKeySchedule(id: string): boolean {
  return WORKFLOWS.some((workflow) => id.startsWith(`${workflow}:`));
}

/**
 * Creates or updates the two Temporal schedules of a key store: generation and destruction, in UTC, with the retention file
 * as it is now. A run that is due while another goes on follows it. A schedule that somebody paused stays paused.
 */
export async function applyKeySchedules(
  client: Client,
  { schedules }: RetentionFile,
  ref: KeyStoreRef,
  taskQueue = CONTROL_QUEUE,
): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (const workflow of WORKFLOWS) {
    const cron = workflow === 'generateDayKeys' ? schedules.generate : schedules.destroy;
    const id = keyScheduleId(workflow, ref.keyStore);
    const options = {
      spec: { cronExpressions: [cron], timezone: 'UTC' },
      action: {
        type: 'startWorkflow' as const,
        workflowType: workflow,
        // Temporal adds the time of each start.
        workflowId: `${id}:scheduled`,
        taskQueue,
        args: [ref] as Parameters<typeof generateDayKeys> & Parameters<typeof destroyDayKeys>,
        staticSummary: `${SAYS[workflow]} ${ref.keyStore}, by schedule`,
      },
      policies: { overlap: ScheduleOverlapPolicy.BUFFER_ONE, catchupWindow: CATCH_UP } as const,
    };
    const handle = client.schedule.getHandle(id);
    const action = await createSchedule(client, id, options);
    if (action === 'updated') await handle.update((previous) => ({ ...options, state: previous.state }));
    const { state, info } = await handle.describe();
    const next = info.nextActionTimes.slice(0, 3).map((time) => time.toISOString());
    applied.push({ id, action, paused: state.paused, next });
  }
  return applied;
}

/** Takes the schedules of a key store away; returns the ids of those there were. Runs that go on are not touched. */
export async function removeKeySchedules(client: Client, keyStore: string): Promise<string[]> {
  const removed: string[] = [];
  for (const workflow of WORKFLOWS) {
    const id = keyScheduleId(workflow, keyStore);
    try {
      await client.schedule.getHandle(id).delete();
      removed.push(id);
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  }
  return removed;
}

/** The key stores that schedules bring with them. */
export async function scheduledKeyStores(client: Client): Promise<KeyStoreRef[]> {
  const refs: KeyStoreRef[] = [];
  for await (const { scheduleId } of client.schedule.list()) {
    if (!scheduleId.startsWith(`${WORKFLOWS[1]}:`)) continue;
    const { action } = await client.schedule.getHandle(scheduleId).describe();
    const [ref] = (action.args ?? []) as Partial<KeyStoreRef>[];
    if (ref?.keyStore !== undefined && ref.file) refs.push({ keyStore: ref.keyStore, file: ref.file });
  }
  return refs;
}
