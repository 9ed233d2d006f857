import type { LogEntry } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { jsonLine } from '../../workers/log.js';
import { scheduleLag } from '../../workers/scheduleLag.js';

const NOW = Date.UTC(2026, 2, 1, 12);
const at = (minutesAgo: number) => new Date(NOW - minutesAgo * 60_000);

function schedule(options: { next: Date; running?: Date; done?: Date; paused?: boolean }) {
  const action = (workflowId: string) => ({
    type: 'startWorkflow' as const,
    workflow: { workflowId, firstExecutionRunId: 'r' },
  });
  const taken = (workflowId: string, scheduledAt: Date) => ({
    scheduledAt,
    takenAt: scheduledAt,
    action: action(workflowId),
  });
  return {
    state: { paused: options.paused ?? false },
    info: {
      nextActionTimes: [options.next],
      runningActions: options.running ? [action('b')] : [],
      recentActions: [
        ...(options.done ? [taken('a', options.done)] : []),
        ...(options.running ? [taken('b', options.running)] : []),
      ],
    },
  } as unknown as Parameters<typeof scheduleLag>[0];
}

test('a schedule lags while a run that was due is not done', () => {
  expect(scheduleLag(schedule({ next: at(-60), done: at(600) }), NOW)).toBe(0);
  expect(scheduleLag(schedule({ next: at(-60), running: at(90), done: at(600) }), NOW)).toBe(5_400);
  expect(scheduleLag(schedule({ next: at(10) }), NOW)).toBe(600);
  expect(scheduleLag(schedule({ next: at(10), paused: true }), NOW)).toBe(0);
  expect(scheduleLag(schedule({ next: at(10), running: at(20), paused: true }), NOW)).toBe(1_200);
});

test('a log entry is one line, with texts, numbers and the type of an error', () => {
  const line = jsonLine({
    level: 'WARN',
    timestampNanos: BigInt(NOW) * 1_000_000n,
    message: 'failed\nagain',
    meta: {
      attempt: 2,
      taskQueue: 'lethe',
      error: Object.assign(new Error('No route.'), { type: 'Unreachable', cause: new Error('secret') }),
      input: { row: 'secret' },
    },
  } as unknown as LogEntry);
  expect(line.split('\n')).toHaveLength(2);
  expect(JSON.parse(line)).toEqual({
    ...{
      time: '2026-03-01T12:00:00.000Z',
      level: 'WARN',
      message: 'failed\nagain',
      attempt: 2,
      taskQueue: 'lethe',
    },
    error: { type: 'Unreachable', message: 'No route.' },
  });
});
