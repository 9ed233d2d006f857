import type { RetryPolicy } from '@temporalio/common';
import {
  ActivityCancellationType,
  type ActivityInterfaceFor,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities, DataActivities } from '../activities/types.js';
import { NON_RETRYABLE } from '../errors/errors.js';
import { HOLDER_HEARTBEAT_S, PARTITION_HEARTBEAT_S } from '../ledger/timing.js';
import { dataQueue } from './queues.js';

/** How closely a run is watched. For tests, which cannot wait as long as a production run should. */
export interface Tuning {
  /** Continue as new after so many history events. Default: when the server suggests it. */
  readonly historyLimit?: number;
  /** Seconds of silence after which an activity is given to another worker. Default 20; 15 for snapshot holders. */
  readonly heartbeatSeconds?: number;
  /** Attempts of an activity until the run fails. Default 30; 6 while planning. */
  readonly attempts?: number;
  /** Seconds between two attempts at most. Default 30. */
  readonly retrySeconds?: number;
}

/** The activities as the workflows of a run call them. */
export interface Activities {
  /** Until something was written: a wrong address is told within half a minute. */
  readonly planning: ActivityInterfaceFor<ControlActivities>;
  /** Those that end within minutes: the ledger, cutting tables. */
  readonly control: ActivityInterfaceFor<ControlActivities>;
  /** Those whose length grows with the data: indexes, foreign keys, validation. */
  readonly longControl: ActivityInterfaceFor<ControlActivities>;
  /** The snapshot holders: tried again for as long as the run lasts. */
  readonly holding: ActivityInterfaceFor<ControlActivities>;
  /** Those that move rows, on a queue of their own beside the workflow's. */
  readonly data: ActivityInterfaceFor<DataActivities>;
}

/** What was cancelled is waited for: nothing may still write when the destination is put back. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** To be called inside a workflow, since the data queue follows the workflow's own. All heartbeat. */
export function activitiesOf(tuning: Tuning = {}): Activities {
  // An attempt every half minute at most, for about a quarter of an hour: a restart is survived, a mistake is told.
  const retry: RetryPolicy = {
    initialInterval: '500 ms',
    backoffCoefficient: 2,
    maximumInterval: `${tuning.retrySeconds ?? 30} s`,
    maximumAttempts: tuning.attempts ?? 30,
    nonRetryableErrorTypes: [...NON_RETRYABLE],
  };
  const heartbeatTimeout = `${tuning.heartbeatSeconds ?? PARTITION_HEARTBEAT_S} s` as const;
  const long = { startToCloseTimeout: '24 h', heartbeatTimeout, cancellationType, retry } as const;
  return {
    planning: proxyActivities<ControlActivities>({
      startToCloseTimeout: '10 min',
      heartbeatTimeout,
      cancellationType,
      retry: { ...retry, maximumAttempts: tuning.attempts ?? 6 },
    }),
    control: proxyActivities<ControlActivities>({ startToCloseTimeout: '10 min', heartbeatTimeout, retry }),
    longControl: proxyActivities<ControlActivities>(long),
    holding: proxyActivities<ControlActivities>({
      ...long,
      startToCloseTimeout: '30 d',
      heartbeatTimeout: `${tuning.heartbeatSeconds ?? HOLDER_HEARTBEAT_S} s`,
      retry: { ...retry, maximumInterval: '5 s', maximumAttempts: Number.POSITIVE_INFINITY },
    }),
    data: proxyActivities<DataActivities>({ ...long, taskQueue: dataQueue(workflowInfo().taskQueue) }),
  };
}
