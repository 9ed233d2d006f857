import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { nearest } from '../job/nearest.js';
import { addApply } from './commands/apply.js';
import { addCancel } from './commands/cancel.js';
import { addClaim } from './commands/claim.js';
import { addDev } from './commands/dev.js';
import { addDoctor } from './commands/doctor.js';
import { addExplain } from './commands/explain.js';
import { addGrants } from './commands/grants.js';
import { addInit } from './commands/init.js';
import { addKeygen } from './commands/keygen.js';
import { addPlan } from './commands/plan.js';
import { addRestore } from './commands/restore.js';
import { addRuns } from './commands/runs.js';
import { addShow } from './commands/show.js';
import { addSync } from './commands/sync.js';
import { addWorker } from './commands/worker.js';

const ADDERS = [
  addInit,
  addKeygen,
  addGrants,
  addClaim,
  addPlan,
  addSync,
  addRestore,
  addWorker,
  addDev,
  addRuns,
  addShow,
  addCancel,
  addExplain,
  addApply,
  addDoctor,
];

/** The whole command line. Each subcommand is a file of `commands/`. */
export function createProgram(): Command {
  const program = new Command('lethe')
    .description(
      'Anonymized copies of databases, with every foreign key valid, as durable Temporal workflows.',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help, also of one command: lethe sync --help')
    .showSuggestionAfterError()
    .addHelpText('after', EPILOGUE)
    .exitOverride();
  for (const add of ADDERS) add(program);
  for (const command of program.commands) command.exitOverride().showSuggestionAfterError();
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
