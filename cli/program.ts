import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { nearest } from '../job/nearest.js';

/** A subcommand: its name and arguments, one line about it, and the file that gives it options and action. */
type Entry = readonly [
  usage: string,
  summary: string,
  load: () => Promise<{ define(command: Command): void }>,
];

const COMMANDS: readonly Entry[] = [
  [
    'init <SOURCE>',
    'Write a job file with every table and column, suggestions, and what is left to decide.',
    () => import('./commands/init.js'),
  ],
  ['keygen', 'Make a job key: 32 random bytes, base64.', () => import('./commands/keygen.js')],
  [
    'grants <JOB>',
    'Print the least SQL, or commands of mongosh, that lets a role run the job, for both sides.',
    () => import('./commands/grants.js'),
  ],
  [
    'claim <DEST>',
    'Allow Lethe to write a database that holds rows. It says what is at stake, and asks.',
    () => import('./commands/claim.js'),
  ],
  [
    'plan <JOB>',
    'Show what a run would do, and everything that speaks against it. Writes nothing.',
    () => import('./commands/plan.js'),
  ],
  ['sync <JOB>', 'Run a job and follow it to its end.', () => import('./commands/sync.js')],
  [
    'replay <RUN>',
    'Finish a failed run: try its quarantined rows again, load what was cut short, and only that.',
    () => import('./commands/replay.js'),
  ],
  [
    'restore <DEST>',
    'Put back what ended runs took away (constraints, indexes, triggers), or left behind (collections).',
    () => import('./commands/restore.js'),
  ],
  [
    'worker',
    'Run a worker of the cluster that TEMPORAL_ADDRESS names, until SIGTERM or SIGINT.',
    () => import('./commands/worker.js'),
  ],
  [
    'dev',
    'Run a Temporal server with its UI and a worker here, until Ctrl-C. State is kept under .lethe/.',
    () => import('./commands/dev.js'),
  ],
  [
    'runs',
    'List the runs that the ledgers of the destinations know, the newest first.',
    () => import('./commands/runs.js'),
  ],
  [
    'show <RUN>',
    'Show what the ledger says about a run: counts, quarantine, checks, what is owed, why it failed.',
    () => import('./commands/show.js'),
  ],
  [
    'validate <JOB>',
    'Check the newest complete run of a job once more, or show what earlier checks found.',
    () => import('./commands/validate.js'),
  ],
  [
    'cancel <RUN>',
    'Cancel a run and wait until its destination has its constraints and triggers back.',
    () => import('./commands/cancel.js'),
  ],
  [
    'explain <JOB> <TABLE> <KEY...>',
    'Say which rule hit a record, and what it must have become. Shows values: for your eyes only.',
    () => import('./commands/explain.js'),
  ],
  [
    'report <RUN>',
    'Write what a run did as one HTML file: rules, counts, checks, timeline, failures, evidence. No value of any row.',
    () => import('./commands/report.js'),
  ],
  [
    'audit [RUN]',
    'Check the ledger of a run against its signature, its rules and the source, and say what does not match.',
    () => import('./commands/audit.js'),
  ],
  [
    'ledger',
    "Export a job's ledger, signed, or prune old runs from it.",
    () => import('./commands/ledger.js'),
  ],
  [
    'retention',
    'Values that fade: key stores, destruction, holds, proofs, and what databases and warehouses need.',
    () => import('./commands/retention.js'),
  ],
  [
    'seal',
    'Seal values in lines from stdin, so that they can be read for a number of days only.',
    () => import('./commands/seal.js'),
  ],
  [
    'reveal',
    'Reveal what is sealed in lines from stdin, as far as it can still be read.',
    () => import('./commands/reveal.js'),
  ],
  [
    'apply <JOB>',
    "Create or update the job's schedule on the Temporal cluster.",
    () => import('./commands/apply.js'),
  ],
  [
    'doctor [JOB]',
    'Check every part that a run needs, and say how to fix what is wrong.',
    () => import('./commands/doctor.js'),
  ],
];

/**
 * The command line for `words`, what stands after `lethe`. Only the file of the command that they name is loaded: the
 * others are known by their summary, so that help comes at once.
 */
export async function createProgram(words: readonly string[]): Promise<Command> {
  const program = new Command('lethe')
    .description(
      'Anonymized copies of databases, with every foreign key valid, as durable Temporal workflows.',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help, also of one command: lethe sync --help')
    .showSuggestionAfterError()
    .addHelpText('after', EPILOGUE)
    .exitOverride();
  const names = words.filter((word) => !word.startsWith('-'));
  const wanted = names[0] === 'help' ? names[1] : names[0];
  for (const [usage, summary, load] of COMMANDS) {
    const command = program.command(usage).description(summary).exitOverride().showSuggestionAfterError();
    if (command.name() === wanted) (await load()).define(command);
  }
  program.on('command:*', ([name]: string[]) => {
    const near = nearest(
      name ?? '',
      program.commands.map((command) => command.name()),
    );
    program.error(`error: unknown command '${name}'${near ? `\n(Did you mean ${near}?)` : ''}`);
  });
  return program;
}

function packageVersion(): string {
  // dist/cli/program.js as built, cli/program.ts in tests.
  const up = import.meta.url.includes('/dist/cli/') ? '../../' : '../';
  const { version } = JSON.parse(readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

const EPILOGUE = `
JOB is the path of a job file, or the name of a job in the job folder (LETHE_JOBS, default ./jobs).
SOURCE and DEST are a connection URL, a reference (env:NAME, file:PATH, exec:COMMAND) or a job file.

A first copy:
  $ export CRM_URL=postgres://…  STAGING_URL=postgres://…  LETHE_KEY=$(lethe keygen)
  $ lethe init env:CRM_URL --destination env:STAGING_URL --out crm-staging.yaml
  $ lethe plan crm-staging.yaml
  $ lethe sync crm-staging.yaml

Exit codes: 0 done, 1 the run failed, 2 the command or job file has to change, 3 a server, right or program is missing.
Temporal: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_…; without an address, Lethe runs a
server of its own, with its state under .lethe/. LETHE_DEBUG=1 adds stacks to errors.`;
