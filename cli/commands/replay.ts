import type { Command } from 'commander';
import type { ReplayInput } from '../../activities/types.js';
import { reportError } from '../exit.js';
import { followToEnd } from '../follow.js';
import { jobArgument } from '../inputs.js';
import { type FoundRun, findRunByText, pinsOf } from '../ledgers.js';
import { countsText, verdictText } from '../print/run.js';
import { type TemporalSession, withTemporal } from '../session.js';
import { counted, duration, paint, say, sayJson, tell } from '../terminal.js';

interface ReplayOptions {
  readonly job?: string;
  readonly dest?: string;
  readonly env?: string;
  readonly table?: string[];
  readonly batch?: string[];
  readonly json?: boolean;
  readonly worker?: boolean;
  readonly taskQueue: string;
}

export function define(command: Command): void {
  command
    .option('-j, --job <job>', 'replay by this corrected job; its destination is looked into')
    .option('-d, --dest <dest>', 'look into this destination')
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('-t, --table <table...>', 'only rows of these tables (schema.table of the source)')
    .option('-b, --batch <batch...>', 'only rows of these batches (partition/batch)')
    .option('-w, --worker', 'run a worker in this process, also on a cluster')
    .option('--task-queue <name>', "the workers' task queue", 'lethe')
    .option('--json', 'print the outcome as JSON, progress on stderr')
    .addHelpText(
      'after',
      `
Tries the rows again that a failed run has in quarantine, and only these, after their cause was mended: at the source, in
the destination, or in the job file. Tables whose load was cut short are loaded to their end. A corrected job may change the treatment of columns on which nothing else depends:
none of a key, a unique index or a foreign key. Rows that wait for a parent are always among those that are tried.

Exit code 0 only when nothing is left in quarantine and every check passed.

Examples:
  $ lethe replay last
  $ lethe replay 01a20660 --job crm-staging.yaml
  $ lethe replay 01a20660 --table public.customer`,
    )
    .action(run);
}

async function run(text: string, options: ReplayOptions): Promise<void> {
  const found = await findRunByText(text, options);
  const file = await fileOf(found, options);
  const worker = options.worker ? 'always' : 'embedded';
  const input: ReplayInput = {
    run: found.row.run,
    file,
    ...(options.table && { tables: options.table }),
    ...(options.batch && { batches: options.batch }),
  };
  await withTemporal({ worker }, (session) => follow(session, found, input, options));
}

/** The corrected job, or the one that the run pinned: a worker need not know where the run is. */
async function fileOf(found: FoundRun, { job, env }: ReplayOptions): Promise<ReplayInput['file']> {
  if (job !== undefined) {
    const loaded = await jobArgument(job, env);
    return { name: loaded.file, text: loaded.text };
  }
  return { name: `${found.row.job}.yaml`, text: (await pinsOf(found))!.jobText };
}

async function follow(
  session: TemporalSession,
  { row }: FoundRun,
  input: ReplayInput,
  options: ReplayOptions,
): Promise<void> {
  const { cluster } = session;
  const { askForReplay, openReplay, startReplay, waitingRun } = await import('../../workers/runs.js');
  const open = cluster.embedded && !cluster.shared ? await openReplay(cluster.client, row) : undefined;
  if (open) tell(`An earlier replay of ${row.run} is still open: going on with it.`);
  const waiting = open ? undefined : await waitingRun(cluster.client, row);
  const handle =
    open ??
    (waiting
      ? await askForReplay(cluster.client, waiting, row, input)
      : await startReplay(cluster.client, row, input, options.taskQueue));
  const followed = await followToEnd(session, handle, { job: row.job, taskQueue: options.taskQueue });
  if (!followed) return;
  const { outcome, tables, seconds, link } = followed;
  if (!outcome.ok) {
    process.exitCode = reportError(outcome.error, options.json === true);
    if (!options.json) tell(`  Run ${row.run}: lethe show ${row.run}`);
    return;
  }
  const { run: id, job, verdict, replayed } = outcome.result;
  if (options.json)
    return sayJson({ run: id, job, seconds, replayed, tables, ...verdict, ...(link && { link }) });
  if (tables.length > 0) say(countsText(tables));
  say(verdictText(verdict));
  const gone = replayed.gone === 0 ? '' : `, ${counted(replayed.gone, 'row')} gone at the source`;
  say(
    `${paint.green('✓')} Run ${id} of ${job} is complete and valid: ${counted(replayed.copied, 'row')} copied${gone}, ${duration(seconds)}.`,
  );
}
