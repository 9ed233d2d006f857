import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import type { Job } from '../../job/types.js';
import { type CheckRecord, fails, warns } from '../../ledger/checks.js';
import type { InspectProgress } from '../../quality/inspection.js';
import { EXIT } from '../exit.js';
import { jobArgument } from '../inputs.js';
import { checkMark } from '../print/run.js';
import { duration, paint, say, sayJson, table, tell } from '../terminal.js';
import { type CheckedDestination, withCheckedDestination } from '../validations.js';
import { wholeNumber } from './options.js';

interface ValidateOptions {
  readonly env?: string;
  readonly history?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--history', "show what the job's checks have found so far, newest first")
    .option('-n, --limit <n>', 'with --history: so many', wholeNumber, 20)
    .option('--json', 'print it as JSON, progress on stderr')
    .addHelpText(
      'after',
      `
The checks are those of the job file as it is now. The source is read as it is now: rows that changed there since the run
are counted apart and not compared. Nothing but the result is written. Exit code 1 when a check failed.

Examples:
  $ lethe validate crm-staging.yaml
  $ lethe validate crm-staging.yaml --history --json`,
    )
    .action(run);
}

async function run(argument: string, options: ValidateOptions): Promise<void> {
  const { job } = await jobArgument(argument, options.env);
  const found = await withCheckedDestination(job, async (destination) => {
    if (options.history) await history(job, await destination.history(options.limit), options);
    else await validate(job, destination, options);
    return true;
  });
  if (!found) throw noRun(job);
}

async function validate(job: Job, destination: CheckedDestination, options: ValidateOptions): Promise<void> {
  const row = (await destination.runs()).find(({ state }) => state === 'complete');
  if (!row) throw noRun(job);
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const began = Date.now();
  const checks = await destination.check(row, { report: progress(), signal: interrupt.signal });
  const failed = checks.filter(fails);
  if (failed.length > 0) process.exitCode = EXIT.failed;
  const seconds = (Date.now() - began) / 1000;
  if (options.json) return sayJson({ run: row.run, job: row.job, ok: failed.length === 0, seconds, checks });
  for (const check of checks) say(`  ${checkMark(check)} ${check.message}`);
  const what = `Run ${row.run} of ${row.job}`;
  say(
    failed.length === 0
      ? `${paint.green('✓')} ${what} is valid, ${duration(seconds)}.`
      : `${paint.red('✗')} ${what} failed ${failed.length} of ${checks.length} checks, ${duration(seconds)}.`,
  );
}

function noRun({ job }: Job): LetheError {
  return new LetheError(
    'UnknownRun',
    `The job ${job} has no complete run in its destination's ledger. Run it first: \`lethe sync\`.`,
  );
}

const PHASES: Readonly<Record<InspectProgress['phase'], string>> = {
  source: 'reading the source again',
  destination: 'searching the destination',
  suspects: 'looking for what was found in the whole source',
  constraints: 'looking up parents',
};

/** A line a phase, and one a table where there is time to read it. */
function progress(): (progress: InspectProgress) => void {
  let told = 0;
  let phase = '';
  return (at) => {
    const now = Date.now();
    if (at.phase === phase && now - told < 2000) return;
    phase = at.phase;
    told = now;
    tell(`${PHASES[at.phase]}${at.table ? `: ${at.table} (${at.done + 1} of ${at.of})` : ''}`);
  };
}

async function history(job: Job, records: readonly CheckRecord[], { json }: ValidateOptions): Promise<void> {
  if (json) return sayJson(records.map(({ distributions: _, ...record }) => record));
  if (records.length === 0) return tell(`The job ${job.job} has not been checked yet.`);
  say(
    table(
      [
        { head: 'checked (UTC)' },
        { head: 'run' },
        { head: 'by' },
        { head: 'took', right: true },
        { head: 'found' },
      ],
      records.map((record) => [
        record.checkedAt.slice(0, 19).replace('T', ' '),
        record.run,
        record.origin === 'run' ? 'the run' : 'validate',
        duration(record.seconds),
        found(record),
      ]),
    ),
  );
}

function found({ checks }: CheckRecord): string {
  const names = (some: CheckRecord['checks']) => [...new Set(some.map(({ name }) => name))].join(', ');
  const [failed, warned] = [checks.filter(fails), checks.filter(warns)];
  const parts = [
    ...(failed.length > 0 ? [paint.red(`failed: ${names(failed)}`)] : []),
    ...(warned.length > 0 ? [paint.yellow(`warned: ${names(warned)}`)] : []),
  ];
  return parts.length > 0 ? parts.join('; ') : paint.green('all well');
}
