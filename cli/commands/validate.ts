import type { Command } from 'commander';
import { checkPins } from '../../activities/pins.js';
import { openingOf } from '../../activities/sealing.js';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { LetheError } from '../../errors/errors.js';
import { resolveReference } from '../../job/references.js';
import type { Job } from '../../job/types.js';
import { fails, warns } from '../../ledger/checks.js';
import type { RunRow } from '../../ledger/types.js';
import { type CheckRecord, listCheckResults } from '../../postgres/ledger/checkResults.js';
import { ledgerVersion, migrate } from '../../postgres/ledger/migrate.js';
import { readCorrected } from '../../postgres/ledger/replays.js';
import { listRuns, readPins } from '../../postgres/ledger/runs.js';
import { type Session, withSession } from '../../postgres/session.js';
import type { InspectProgress } from '../../quality/inspection.js';
import { recheck } from '../../quality/recheck.js';
import { EXIT } from '../exit.js';
import { jobArgument } from '../inputs.js';
import { checkMark } from '../print/run.js';
import { duration, paint, say, sayJson, table, tell } from '../terminal.js';
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
  const url = await resolveReference(job.destination.url);
  await withSession({ url, role: 'destination', applicationName: 'lethe:validate' }, async (session) => {
    if ((await ledgerVersion(session)) === 0) throw noRun(job);
    await migrate(session);
    if (options.history) return history(session, job, options);
    await validate(session, job, url, options);
  });
}

async function validate(
  session: Session,
  job: Job,
  destinationUrl: string,
  options: ValidateOptions,
): Promise<void> {
  const row = await newestComplete(session, job);
  const pins = { ...(await readPins(session, row.run)), ...(await readCorrected(session, row.run)) };
  const jobKey = parseJobKey(await resolveReference(job.key));
  await checkPins(session, pins, jobKeys(jobKey));
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const began = Date.now();
  const checks = await recheck(session, {
    row,
    pins,
    settings: job.checks,
    sourceUrl: await resolveReference(job.source.url),
    destinationUrl,
    jobKey,
    ...(await openingOf(resolveReference, pins)),
    report: progress(),
    signal: interrupt.signal,
  });
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

async function newestComplete(session: Session, job: Job): Promise<RunRow> {
  const runs = await listRuns(session, { job: job.job, limit: 1000 });
  const found = runs.find(({ state }) => state === 'complete');
  if (!found) throw noRun(job);
  return found;
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

async function history(session: Session, job: Job, { limit, json }: ValidateOptions): Promise<void> {
  const records = await listCheckResults(session, { job: job.job, limit });
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
