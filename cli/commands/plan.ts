import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { writeDomains } from '../../job/domains.js';
import { readJobText } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import { pushdownTexts } from '../../mongo/pushdown/print.js';
import type { Plan } from '../../plan/plan.js';
import { shortType } from '../../plan/types.js';
import { EXIT } from '../exit.js';
import { plannedArgument } from '../inputs.js';
import { planOf, preview } from '../plans.js';
import { planText } from '../print/plan.js';
import { previewText } from '../print/preview.js';
import { counted, say, sayJson, tell } from '../terminal.js';
import { wholeNumber } from './options.js';

interface PlanOptions {
  readonly env?: string;
  readonly json?: boolean;
  readonly showValues?: number | true;
  readonly write?: boolean;
  readonly acceptDomains?: boolean;
}

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--show-values [rows]', 'show some rows before and after, in this terminal only', wholeNumber)
    .option('-w, --write', 'put names and members of the domains into the job file')
    .option('--accept-domains', 'accept that columns come out differently than in earlier runs')
    .option('--json', 'print the plan as JSON')
    .addHelpText(
      'after',
      `
Exit code 0 when the plan can run, 2 when it is refused.

Examples:
  $ lethe plan crm-staging.yaml
  $ lethe plan crm-staging.yaml --show-values 5
  $ lethe plan crm-staging.yaml --json | jq '.findings[] | select(.level == "refusal") | .message'`,
    )
    .action(run);
}

async function run(argument: string, options: PlanOptions): Promise<void> {
  const loaded = await plannedArgument(argument, options.env);
  const { job } = loaded;
  const { plan, source } = await planOf(job, options.acceptDomains);
  if (options.json) sayJson(plan);
  else say([planText(plan, job, source), ...pushdownTexts(plan)].join('\n\n'));
  if (options.showValues !== undefined)
    await showValues(job, plan, options.showValues === true ? 3 : options.showValues);
  if (options.write) await writeNames(loaded.file, plan);
  if (plan.findings.some(({ level }) => level === 'refusal')) process.exitCode = EXIT.badInput;
}

/** Only where every column of a table is decided: what is refused has no after. */
async function showValues(job: Job, plan: Plan, limit: number): Promise<void> {
  if (job.consistency === 'run') tell('consistency: run: a run will give other values than these.');
  for (const table of plan.tables) {
    if (table.columns.some(({ branches }) => branches.length === 0)) continue;
    const rows = await preview(job, table, { limit });
    if (rows.length > 0) say(`\n${previewText(table, rows)}`);
  }
}

/** The names that the keys of shared columns depend on, so that a changed schema cannot change them unseen. */
async function writeNames(file: string, plan: Plan): Promise<void> {
  if (!/\.ya?ml$/.test(file)) throw new LetheError('JobInvalid', '--write changes YAML job files only.');
  const keyed = ({ transformer: { name } }: Plan['domains'][number]) => name !== 'keep' && name !== 'null';
  const shared = plan.domains.filter((domain) => domain.members.length > 1 && keyed(domain));
  const domains = shared.map(({ name, members, type, proof }) => ({
    name,
    members,
    range: proof.maxInteger ? `${shortType(type)}, up to ${proof.maxInteger}` : shortType(type),
  }));
  await writeFile(file, writeDomains(await readJobText(file), domains));
  tell(`${counted(domains.length, 'domain')} written to ${file}.`);
}
