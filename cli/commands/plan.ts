import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { resolveReference } from '../../job/references.js';
import type { Job } from '../../job/types.js';
import { planJob } from '../../postgres/planning.js';
import { withSession } from '../../postgres/session.js';
import { EXIT } from '../exit.js';
import { jobArgument } from '../inputs.js';
import { planText } from '../print/plan.js';
import { say, sayJson } from '../terminal.js';

interface PlanOptions {
  readonly env?: string;
  readonly json?: boolean;
}

export function addPlan(program: Command): void {
  program
    .command('plan')
    .argument('<JOB>', 'job file, or name of a job')
    .description('Show what a run would do, and everything that speaks against it. Writes nothing.')
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--json', 'print the plan as JSON')
    .addHelpText(
      'after',
      `
Exit code 0 when the plan can run, 2 when it is refused.

Examples:
  $ lethe plan crm-staging.yaml
  $ lethe plan crm-staging.yaml --json | jq '.findings[] | select(.level == "refusal") | .message'`,
    )
    .action(run);
}

async function run(argument: string, options: PlanOptions): Promise<void> {
  const { job } = await jobArgument(argument, options.env);
  const { plan, source } = await planOf(job);
  if (options.json) sayJson(plan);
  else say(planText(plan, job, source));
  if (plan.findings.some(({ level }) => level === 'refusal')) process.exitCode = EXIT.badInput;
}

async function planOf(job: Job) {
  const [sourceUrl, destinationUrl] = await Promise.all(
    [job.source.url, job.destination.url].map(resolveReference),
  );
  if (!sourceUrl || !destinationUrl) throw new LetheError('Internal', 'A reference resolved to nothing.');
  const session = (role: 'source' | 'destination', url: string) =>
    ({ url, role, applicationName: 'lethe:plan', readOnly: true, encoding: job.source.encoding }) as const;
  return withSession(session('source', sourceUrl), (source) =>
    withSession(session('destination', destinationUrl), (destination) => planJob(job, source, destination)),
  );
}
