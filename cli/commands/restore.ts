import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { isOpen } from '../../ledger/states.js';
import { ledgerVersion } from '../../postgres/ledger/migrate.js';
import { findRun, supersede } from '../../postgres/ledger/runs.js';
import { owingRuns, restoreRuns } from '../../postgres/saga/restore.js';
import { type Session, withSession } from '../../postgres/session.js';
import { EXIT } from '../exit.js';
import { databaseArgument } from '../inputs.js';
import { counted, paint, say, tell } from '../terminal.js';

/** A run whose owner was seen so recently may be alive. Seconds. */
const SEEN_WITHIN = 60;

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--force', 'also of runs that look alive: they are shut out')
    .addHelpText(
      'after',
      `
Tables whose load is incomplete are emptied, since half a copy cannot have valid keys. A run that was cancelled, or
that failed, has put everything back by itself; this is for runs whose workflow was terminated, or whose cluster is gone.

Examples:
  $ lethe restore env:STAGING_URL`,
    )
    .action(run);
}

async function run(argument: string, options: { env?: string; force?: boolean }): Promise<void> {
  const { url } = await databaseArgument(argument, 'destination', options.env);
  await withSession({ url, role: 'destination', applicationName: 'lethe:restore' }, async (session) => {
    if ((await ledgerVersion(session)) === 0) return say('Nothing to do: Lethe never wrote this database.');
    const owing = await owingRuns(session);
    if (owing.length === 0) return say(`${paint.green('✓')} Nothing is away.`);
    const open = owing.filter(({ state }) => isOpen(state)).map(({ run: id }) => id);
    if (!options.force) await refuseAlive(session, open);
    for (const { run: id, job, open: things } of owing)
      tell(`Run ${id} of ${job}: ${counted(things, 'thing')} away`);
    await supersede(session, open);
    const { restored, emptied, owed } = await restoreRuns(
      session,
      owing.map(({ run: id }) => id),
    );
    say(`${paint.green('✓')} ${counted(restored, 'thing')} put back as found.`);
    if (emptied.length > 0) say(`Emptied, because their load was incomplete: ${emptied.join(', ')}`);
    if (owed.length === 0) return;
    say(
      `${paint.red('✗')} Still owed, because rows that are not Lethe's violate them: ${owed.join(', ')}. Mend the rows, then restore again.`,
    );
    process.exitCode = EXIT.failed;
  });
}

async function refuseAlive(session: Session, runs: readonly string[]): Promise<void> {
  for (const id of runs) {
    const row = await findRun(session, id);
    if (!row || (await isGone(row.workflowId, row.namespace)) || row.silentSeconds > SEEN_WITHIN) continue;
    throw new LetheError(
      'DestinationBusy',
      `Run ${id} of ${row.job} is ${row.state} and was seen ${Math.round(row.silentSeconds)} s ago. Cancel it with \`lethe cancel ${id}\`, or shut it out with --force.`,
    );
  }
}

/** Its workflow is known to be closed; a cluster that cannot be asked says nothing. */
async function isGone(workflowId: string, namespace: string): Promise<boolean> {
  const { temporalSettings, connectClient } = await import('../../workers/connection.js');
  const settings = await temporalSettings();
  if (!settings) return false;
  const client = await connectClient(settings).catch(() => undefined);
  if (!client) return false;
  const { workflowStatus } = await import('../../workers/workflowStatus.js');
  const status = await workflowStatus(client, workflowId, namespace);
  await client.connection.close();
  return status !== 'open' && status !== 'unknown';
}
