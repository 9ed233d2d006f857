import type { Command } from 'commander';
import type { WorkflowStatus } from '../../activities/dependencies.js';
import { LetheError } from '../../errors/errors.js';
import { isOpen } from '../../ledger/states.js';
import type { RunRow } from '../../ledger/types.js';
import { isMongoUrl, withConnection } from '../../mongo/connection.js';
import { ledgerVersion as documentLedgerVersion, ledgerOf } from '../../mongo/ledger/store.js';
import { clearLeft, type LeftBehind, leftBehind } from '../../mongo/restore.js';
import { ledgerVersion } from '../../postgres/ledger/migrate.js';
import { findRun, supersede } from '../../postgres/ledger/runs.js';
import { owingRuns, restoreRuns } from '../../postgres/saga/restore.js';
import { withSession } from '../../postgres/session.js';
import { EXIT } from '../exit.js';
import { databaseArgument } from '../inputs.js';
import { counted, paint, say, tell } from '../terminal.js';

/** A run of which no cluster knows may be alive if its owner was seen so recently. Seconds. */
const SEEN_WITHIN = 60;

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option(
      '--force',
      'also of runs that look alive, which are shut out, and of runs that the ledger does not know',
    )
    .addHelpText(
      'after',
      `
Tables whose load is incomplete are emptied, since half a copy cannot have valid keys. A run that was cancelled, or
that failed, has put everything back by itself; this is for runs whose workflow was terminated, or whose cluster is gone.
Over MongoDB the collections that such runs wrote beside the old ones are dropped; those of a failed run stay for its replay.

Examples:
  $ lethe restore env:STAGING_URL`,
    )
    .action(run);
}

async function run(argument: string, options: { env?: string; force?: boolean }): Promise<void> {
  const { url } = await databaseArgument(argument, 'destination', options.env);
  if (isMongoUrl(url)) return restoreDocuments(url, options.force ?? false);
  await withSession({ url, role: 'destination', applicationName: 'lethe:restore' }, async (session) => {
    if ((await ledgerVersion(session)) === 0) return say('Nothing to do: Lethe never wrote this database.');
    const owing = await owingRuns(session);
    if (owing.length === 0) return say(`${paint.green('✓')} Nothing is away.`);
    const open = owing.filter(({ state }) => isOpen(state)).map(({ run: id }) => id);
    if (!options.force) for (const id of open) await refuseAlive(await findRun(session, id));
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

/** The same over MongoDB, where nothing is taken away: runs leave collections of their own behind. */
async function restoreDocuments(url: string, force: boolean): Promise<void> {
  await withConnection({ url, role: 'destination', applicationName: 'lethe:restore' }, async (connection) => {
    if ((await documentLedgerVersion(ledgerOf(connection))) === 0)
      return say('Nothing to do: Lethe never wrote this database.');
    const left = await leftBehind(connection);
    if (left.length === 0) return say(`${paint.green('✓')} Nothing is left behind.`);
    if (!force)
      for (const { row, way } of left)
        if (row && way !== 'replay' && isOpen(row.state)) await refuseAlive(row);
    for (const one of left) tell(leftText(one, force));
    const ours = left.filter(({ way }) => force || way !== 'foreign');
    const { dropped, refused, finished, released } = await clearLeft(connection, ours);
    if (dropped + refused.length + finished.length + released.length === 0)
      return say(`${paint.green('✓')} Nothing else is left behind.`);
    if (dropped > 0) say(`${paint.green('✓')} ${counted(dropped, 'collection')} of ended runs dropped.`);
    for (const id of finished)
      say(`${paint.green('✓')} All collections of run ${id} are in the place of the old ones.`);
    if (released.length > 0)
      say(`${paint.green('✓')} No longer held by a run that was stopped: ${released.join(', ')}`);
    if (refused.length === 0) return;
    say(
      `${paint.red('✗')} The server would not drop: ${refused.join(', ')}. Let the user of the URL drop collections there (see \`lethe grants\`), then restore again.`,
    );
    process.exitCode = EXIT.failed;
  });
}

function leftText({ run: id, row, collections, way }: LeftBehind, force: boolean): string {
  const what = `Run ${id}${row ? ` of ${row.job}, ${row.state}` : ', which the ledger does not know'}: ${counted(collections.length, 'collection')} of its own`;
  if (way === 'replay') return `${what}, kept for \`lethe replay ${id}\``;
  if (way === 'finish') return `${what}; it was stopped while they took the place of the old ones`;
  if (way === 'foreign' && !force)
    return `${what}, left alone: it may be alive, and of another ledger. --force drops what nobody needs`;
  return what;
}

/** @throws LetheError `DestinationBusy` when somebody may be working on the run. */
async function refuseAlive(row: RunRow | undefined): Promise<void> {
  if (!row) return;
  const status = await statusOf(row.workflowId, row.namespace);
  const alive = status === 'open' || (status === 'unknown' && row.silentSeconds <= SEEN_WITHIN);
  if (!alive) return;
  const seen =
    status === 'open' ? 'its workflow is open' : `it was seen ${Math.round(row.silentSeconds)} s ago`;
  throw new LetheError(
    'DestinationBusy',
    `Run ${row.run} of ${row.job} is ${row.state}, and ${seen}. Cancel it with \`lethe cancel ${row.run}\`, or shut it out with --force.`,
  );
}

/** How its workflow stands; `unknown` where there is no cluster that can be asked. */
async function statusOf(workflowId: string, namespace: string): Promise<WorkflowStatus> {
  const { temporalSettings, connectClient } = await import('../../workers/connection.js');
  const settings = await temporalSettings();
  if (!settings) return 'unknown';
  const client = await connectClient(settings).catch(() => undefined);
  if (!client) return 'unknown';
  const { workflowStatus } = await import('../../workers/workflowStatus.js');
  const status = await workflowStatus(client, workflowId, namespace);
  await client.connection.close();
  return status;
}
