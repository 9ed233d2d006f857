import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { isOpen } from '../../ledger/states.js';
import { type FoundRun, findRunByText, type LedgerOptions, pinsOf } from '../ledgers.js';
import { withTemporal } from '../session.js';
import { paint, say, tell } from '../terminal.js';
import { addLedgerOptions } from './options.js';

export function define(command: Command): void {
  addLedgerOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ lethe cancel 01a20660
  $ lethe cancel last --job crm-staging.yaml`,
    )
    .action(run);
}

async function run(text: string, options: LedgerOptions): Promise<void> {
  const found = await findRunByText(text, options);
  const { row } = found;
  if (!isOpen(row.state)) return endWait(found);
  await withTemporal({}, async ({ cluster }) => {
    const { followSync, runError } = await import('../../workers/runs.js');
    const handle = cluster.client.workflow.getHandle<typeof import('../../workflows/syncJob.js').syncJob>(
      row.workflowId,
    );
    try {
      await handle.cancel();
    } catch (error) {
      throw runError(error, row.workflowId);
    }
    tell(`Cancelling run ${row.run} of ${row.job}; what it took away is put back.`);
    const outcome = await followSync(handle, { onProgress: () => undefined });
    if (outcome?.ok) say(`Run ${row.run} was complete before it could be cancelled.`);
    else if (outcome?.error.type === 'RunEnded') say(`${paint.green('✓')} ${outcome.error.message}`);
    else if (outcome) throw outcome.error;
  });
}

/** A run that has failed may wait for a replay. */
async function endWait(found: FoundRun): Promise<void> {
  const { row } = found;
  const over = new LetheError(
    'RunEnded',
    `Run ${row.run} is ${row.state} already: there is nothing to cancel.`,
  );
  const onFailure = (await pinsOf(found))?.plan.execution.onFailure;
  if (onFailure?.kind !== 'quarantine' || onFailure.waitSeconds === undefined) throw over;
  await withTemporal({}, async ({ cluster }) => {
    const { waitingRun } = await import('../../workers/runs.js');
    const waiting = await waitingRun(cluster.client, row);
    if (!waiting) throw over;
    await waiting.cancel();
    say(
      `${paint.green('✓')} Run ${row.run} of ${row.job} waits for no replay any more. It stays ${row.state}.`,
    );
  });
}
