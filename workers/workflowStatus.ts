import { type Client, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowStatus } from '../activities/dependencies.js';

const STATUS: Readonly<Record<string, WorkflowStatus>> = {
  RUNNING: 'open',
  PAUSED: 'open',
  CONTINUED_AS_NEW: 'open',
  COMPLETED: 'completed',
  FAILED: 'failed',
  TIMED_OUT: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
};

/** How the newest execution of a workflow id stands. `unknown` where the cluster did not answer. */
export async function workflowStatus(
  client: Client,
  workflowId: string,
  namespace: string,
): Promise<WorkflowStatus> {
  try {
    const answer = await client.workflowService.describeWorkflowExecution({
      namespace,
      execution: { workflowId },
    });
    return byCode(answer.workflowExecutionInfo?.status ?? 0);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'missing';
    return isGrpcServiceError(error) && error.code === NOT_FOUND ? 'missing' : 'unknown';
  }
}

const NOT_FOUND = 5;

/** `temporal.api.enums.v1.WorkflowExecutionStatus`. */
function byCode(code: number): WorkflowStatus {
  const names = [
    '',
    'RUNNING',
    'COMPLETED',
    'FAILED',
    'CANCELLED',
    'TERMINATED',
    'CONTINUED_AS_NEW',
    'TIMED_OUT',
    'PAUSED',
  ];
  return STATUS[names[code] ?? ''] ?? 'unknown';
}
