import type { RetryPolicy } from '@temporalio/common';
import { ActivityCancellationType, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities, DataActivities } from '../activities/types.js';
import { NON_RETRYABLE } from '../errors/errors.js';
import { HOLDER_HEARTBEAT_S, PARTITION_HEARTBEAT_S } from '../ledger/timing.js';
import { dataQueue } from './queues.js';

/** An attempt every half minute at most, for about a quarter of an hour: a restart is survived, a mistake is told. */
const retry: RetryPolicy = {
  initialInterval: '500 ms',
  backoffCoefficient: 2,
  maximumInterval: '30 s',
  maximumAttempts: 30,
  nonRetryableErrorTypes: [...NON_RETRYABLE],
};

/** What was cancelled is waited for: nothing may still write when the destination is put back. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** Activities that end within minutes: catalogs, the ledger. */
export const control = proxyActivities<ControlActivities>({ startToCloseTimeout: '10 min', retry });

/** Activities whose length grows with the data: indexes, foreign keys, validation. They heartbeat. */
export const longControl = proxyActivities<ControlActivities>({
  startToCloseTimeout: '24 h',
  heartbeatTimeout: `${PARTITION_HEARTBEAT_S} s`,
  cancellationType,
  retry,
});

/** The snapshot holders: retried for as long as the run lasts. */
export const holding = proxyActivities<ControlActivities>({
  startToCloseTimeout: '30 d',
  heartbeatTimeout: `${HOLDER_HEARTBEAT_S} s`,
  cancellationType,
  retry: { ...retry, maximumInterval: '5 s', maximumAttempts: Number.POSITIVE_INFINITY },
});

/** Activities that move rows. Created per workflow, since their queue follows the workflow's own. */
export function data() {
  return proxyActivities<DataActivities>({
    taskQueue: dataQueue(workflowInfo().taskQueue),
    startToCloseTimeout: '24 h',
    heartbeatTimeout: `${PARTITION_HEARTBEAT_S} s`,
    cancellationType,
    retry,
  });
}
