import type { Command } from 'commander';
import type { LoadedJob } from '../../job/load.js';
import { reportError } from '../exit.js';
import { followToEnd } from '../follow.js';
import { jobText, plannedArgument } from '../inputs.js';
import { countsText, verdictText } from '../print/run.js';
import { type TemporalSession, uiLink, withTemporal } from '../session.js';
import { duration, paint, say, sayJson, tell } from '../terminal.js';

interface SyncOptions {
  readonly env?: string;
  readonly acceptDomains?: boolean;
  readonly detach?: boolean;
  readonly json?: boolean;
  readonly worker?: boolean;
  readonly taskQueue?: string;
}

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('-d, --detach', 'start the run and leave it to the workers of the cluster')
    .option('-w, --worker', 'run a worker in this process, also on a cluster')
    .option('--accept-domains', 'accept that columns come out differently than in earlier runs')
    .option('--task-queue <name>', "the workers' task queue", 'lethe')
    .option('--json', 'print the outcome as JSON, progress on stderr')
    .addHelpText(
      'after',
      `
Exit code 0 only when every row arrived and every check passed. With TEMPORAL_ADDRESS the run belongs to that cluster
and its workers, and Ctrl-C only stops following it. Without, it runs here, on a server with its state under .lethe/:
Ctrl-C cancels it and puts the destination's constraints back; a run that was killed goes on with the next sync.

Examples:
  $ lethe sync crm-staging.yaml
  $ lethe sync crm-staging.yaml --env nightly --json > outcome.json
  $ TEMPORAL_ADDRESS=temporal:7233 lethe sync crm-staging --detach`,
    )
    .action(run);
}

async function run(argument: string, options: SyncOptions): Promise<void> {
  const loaded = await plannedArgument(argument, options.env);
  if (options.detach) {
    await withTemporal({ worker: 'never', lasting: true }, (session) => detach(session, loaded, options));
  } else {
    const worker = options.worker ? 'always' : 'embedded';
    await withTemporal({ worker }, (session) => follow(session, loaded, options));
  }
}

async function start(session: TemporalSession, loaded: LoadedJob, options: SyncOptions) {
  const { startSync } = await import('../../workers/runs.js');
  const file = await jobText(loaded);
  return startSync(
    session.cluster.client,
    loaded.job.job,
    { file, env: options.env, acceptDomains: options.acceptDomains },
    options.taskQueue,
  );
}

async function detach(session: TemporalSession, loaded: LoadedJob, options: SyncOptions): Promise<void> {
  const { cluster } = session;
  const handle = await start(session, loaded, options);
  const link = uiLink(cluster, handle.workflowId);
  if (options.json)
    return sayJson({ job: loaded.job.job, workflowId: handle.workflowId, ...(link && { link }) });
  say(handle.workflowId);
  if (link) tell(link);
}

async function follow(session: TemporalSession, loaded: LoadedJob, options: SyncOptions): Promise<void> {
  const { cluster } = session;
  const { openSync } = await import('../../workers/runs.js');
  const open =
    cluster.embedded && !cluster.shared ? await openSync(cluster.client, loaded.job.job) : undefined;
  if (open)
    tell(
      `An earlier run of ${loaded.job.job} is still open: going on with it, with the job file it was started with.`,
    );
  const handle = open ?? (await start(session, loaded, options));
  const followed = await followToEnd(session, handle, { job: loaded.job.job, taskQueue: options.taskQueue });
  if (!followed) return;
  const { outcome, last, tables, seconds, link } = followed;
  if (!outcome.ok) {
    process.exitCode = reportError(outcome.error, options.json === true);
    if (last && last.phase !== 'planning' && !options.json)
      tell(`  Run ${last.run}: lethe show ${last.run} --job ${loaded.file}`);
    return;
  }
  const { run, job, verdict } = outcome.result;
  if (options.json) return sayJson({ run, job, seconds, tables, ...verdict, ...(link && { link }) });
  say(countsText(tables));
  say(verdictText(verdict));
  say(`${paint.green('✓')} Run ${run} of ${job} is complete and valid, ${duration(seconds)}.`);
}
