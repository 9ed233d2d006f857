import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { jobFolder, listJobs } from '../../job/folder.js';
import { withTemporal } from '../session.js';
import { paint, tell } from '../terminal.js';
import { wholeNumber } from './options.js';

interface DevOptions {
  readonly port?: number;
  readonly uiPort?: number;
  readonly threads?: number;
}

export function define(command: Command): void {
  command
    .option('--port <n>', 'port of the server (default: a free one)', wholeNumber)
    .option('--ui-port <n>', 'port of its UI (default: a free one)', wholeNumber)
    .option('--threads <n>', 'partitions at once (default: the cores of the machine)', wholeNumber)
    .addHelpText(
      'after',
      `
Other commands in the same folder (sync, cancel, apply, …) use this server while it runs.

Examples:
  $ LETHE_JOBS=jobs lethe dev --ui-port 8233
  $ lethe sync crm-staging.yaml --detach           # in another terminal`,
    )
    .action(run);
}

async function run(options: DevOptions): Promise<void> {
  if (process.env.TEMPORAL_ADDRESS) {
    throw new LetheError(
      'JobInvalid',
      'TEMPORAL_ADDRESS names a cluster already: unset it for `lethe dev`, or run `lethe worker`.',
    );
  }
  await withTemporal({ ...options, worker: 'always' }, async ({ cluster, worker }) => {
    if (cluster.shared)
      tell('Another command runs the server of this folder already; this one adds a worker.');
    const jobs = (await listJobs(jobFolder())).flatMap(({ name }) => name ?? []);
    tell(`Temporal  ${cluster.settings.connection.address}`);
    tell(`UI        ${paint.cyan(cluster.uiUrl ?? '')}`);
    tell(`Jobs      ${jobs.length > 0 ? jobs.join(', ') : 'none'} (${jobFolder()})`);
    tell('Ctrl-C ends it; runs under way go on when it is started again.');
    const stopped = new Promise<void>((resolve) => {
      process.once('SIGINT', resolve).once('SIGTERM', resolve);
    });
    await Promise.race([stopped, worker?.ended]);
  });
}
