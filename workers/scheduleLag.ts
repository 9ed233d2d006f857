import type { Client, ScheduleDescription } from '@temporalio/client';
import { Runtime } from '@temporalio/worker';
import { isKeySchedule } from './keySchedules.js';
import { jobOfSchedule } from './schedule.js';

/** Schedules are looked at so often. Milliseconds. */
const EVERY_MS = 30_000;

/** Publishes how late the runs of jobs with a schedule are, until stopped. */
export function watchSchedules(client: Client): { stop(): void } {
  const lag = Runtime.instance().metricMeter.createGauge(
    'lethe_schedule_lag_seconds',
    'float',
    's',
    'For how long a scheduled run has been due and is not done; 0 when none is due',
  );
  let looking = false;
  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      for await (const { scheduleId } of client.schedule.list()) {
        const job = jobOfSchedule(scheduleId) ?? (isKeySchedule(scheduleId) ? scheduleId : undefined);
        if (job === undefined) continue;
        lag.set(scheduleLag(await client.schedule.getHandle(scheduleId).describe(), Date.now()), { job });
      }
    } catch {
      // A cluster that cannot be asked now is asked again; its own metrics tell that it is away.
    } finally {
      looking = false;
    }
  };
  void look();
  const timer = setInterval(() => void look(), EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Seconds since the oldest run that is due and not done was due. */
export function scheduleLag(
  { state, info }: Pick<ScheduleDescription, 'state' | 'info'>,
  now: number,
): number {
  const running = new Set(
    info.runningActions.flatMap((action) => ('workflow' in action ? action.workflow.workflowId : [])),
  );
  const going = info.recentActions.filter(
    ({ action }) => action.type === 'startWorkflow' && running.has(action.workflow.workflowId),
  );
  const due = [
    ...going.map(({ scheduledAt }) => scheduledAt),
    ...(state.paused ? [] : info.nextActionTimes.slice(0, 1)),
  ];
  return Math.max(0, ...due.map((time) => (now - time.getTime()) / 1000));
}
