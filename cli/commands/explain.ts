import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { didYouMean } from '../../job/nearest.js';
import { tableText } from '../../plan/catalog.js';
import type { Plan, TablePlan } from '../../plan/plan.js';
import { refusePlan } from '../../plan/refuse.js';
import { plannedArgument } from '../inputs.js';
import { planOf, preview } from '../plans.js';
import { previewText } from '../print/preview.js';
import { say, sayJson, tell } from '../terminal.js';

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--run <id>', 'with consistency: run, the run whose output is meant')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ lethe explain crm-staging.yaml public.customer 42
  $ lethe explain crm-staging.yaml public.order_line 1001 3      # a composite key`,
    )
    .action(run);
}

interface ExplainOptions {
  readonly env?: string;
  readonly run?: string;
  readonly json?: boolean;
}

async function run(argument: string, name: string, key: string[], options: ExplainOptions): Promise<void> {
  const { job } = await plannedArgument(argument, options.env);
  if (job.consistency === 'run' && options.run === undefined) {
    throw new LetheError(
      'JobInvalid',
      'With consistency: run, each run has output of its own: say which with --run ID (`lethe runs`).',
    );
  }
  const { plan } = await planOf(job);
  refusePlan(plan);
  const table = tableOf(plan, name);
  const rows = await preview(job, table, { limit: 1, key, run: options.run });
  const [row] = rows;
  if (!row) {
    throw new LetheError(
      'ObjectMissing',
      `${name} has no record with this key in the source now (key columns: ${keyColumns(table).join(', ')}).`,
    );
  }
  if (options.json) return sayJson({ table: name, copied: row.copied, columns: row.columns });
  say(previewText(table, rows));
  if (!row.copied)
    tell('This record is not copied: the `where` of its table, or of a parent, leaves it out.');
}

function tableOf(plan: Plan, name: string): TablePlan {
  const found = plan.tables.find((table) => tableText(table.source) === name);
  if (found) return found;
  throw new LetheError(
    'ObjectMissing',
    `The job has no table "${name}"${didYouMean(
      name,
      plan.tables.map((table) => tableText(table.source)),
    )}.`,
  );
}

function keyColumns({ key }: TablePlan): readonly string[] {
  return key.kind === 'columns' ? key.columns : [];
}
