import type { Command } from 'commander';
import type { Job } from '../../job/types.js';
import type { Plan } from '../../plan/plan.js';
import { EXIT } from '../exit.js';
import { jobArgument } from '../inputs.js';
import { planOf, preview } from '../plans.js';
import { planText } from '../print/plan.js';
import { previewText } from '../print/preview.js';
import { say, sayJson, tell } from '../terminal.js';
import { wholeNumber } from './options.js';

interface PlanOptions {
  readonly env?: string;
  readonly json?: boolean;
  readonly showValues?: number | true;
}

export function addPlan(program: Command): void {
  program
    .command('plan')
    .argument('<JOB>', 'job file, or name of a job')
    .description('Show what a run would do, and everything that speaks against it. Writes nothing.')
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--show-values [rows]', 'show some rows before and after, in this terminal only', wholeNumber)
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
  const { job } = await jobArgument(argument, options.env);
  const { plan, source } = await planOf(job);
  if (options.json) sayJson(plan);
  else say(planText(plan, job, source));
  if (options.showValues !== undefined)
    await showValues(job, plan, options.showValues === true ? 3 : options.showValues);
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
