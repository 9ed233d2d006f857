import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { isOpen } from '../../ledger/states.js';
import { findRunByText, type LedgerOptions } from '../ledgers.js';
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
  const { row } = await findRunByText(text, options);
  if (!isOpen(row.state))
    throw new LetheError('RunEnded', `Run ${row.run} is ${row.state} already: there is nothing to cancel.`);
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
