import { createHash } from 'node:crypto';
import { type Client, WorkflowExecutionAlreadyStartedError, type WorkflowHandle } from '@temporalio/client';
import type { SealInput } from '../activities/sealTypes.js';
import { LetheError } from '../errors/errors.js';
import { CONTROL_QUEUE } from '../workflows/queues.js';
import type { sealExisting } from '../workflows/sealExisting.js';

export type SealHandle = WorkflowHandle<typeof sealExisting>;

/**
 * Starts `sealExisting`. One at a time works on the same tables of the same database.
 *
 * @throws LetheError `DestinationBusy` when one does already.
 */
export async function startSeal(
  client: Client,
  input: SealInput,
  taskQueue = CONTROL_QUEUE,
): Promise<SealHandle> {
  const { tables = [], database = '', file } = input;
  const what = createHash('sha256')
    .update(JSON.stringify([database, [...tables].sort(), file?.text ?? '']))
    .digest('hex')
    .slice(0, 16);
  const workflowId = `seal:${what}${input.dryRun ? ':dry' : ''}`;
  try {
    return await client.workflow.start<typeof sealExisting>('sealExisting', {
      taskQueue,
      workflowId,
      args: [input],
      staticSummary: `${input.dryRun ? 'Counts' : 'Seals'} what is plain in ${tables.length > 0 ? tables.join(', ') : 'all tables of the retention file'}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw new LetheError(
      'DestinationBusy',
      `These tables are being sealed already (workflow ${workflowId}): wait for its end, or cancel it in the Temporal UI.`,
      { workflowId },
    );
  }
}
