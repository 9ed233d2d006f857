import type { Command } from 'commander';
import { jobText, plannedArgument } from '../inputs.js';
import { withTemporal } from '../session.js';
import { paint, say, sayJson } from '../terminal.js';

interface ApplyOptions {
  readonly env?: string;
  readonly remove?: boolean;
  readonly taskQueue: string;
  readonly json?: boolean;
}

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--remove', 'take the schedule away')
    .option('--task-queue <name>', "the workers' task queue", 'lethe')
    .option('--json', 'print the outcome as JSON')
    .addHelpText(
      'after',
      `
The schedule keeps the job file as it is now: apply again after changing it. A paused schedule stays paused. A run that
is due while another goes on is left out.

Examples:
  $ TEMPORAL_ADDRESS=temporal:7233 lethe apply crm-staging.yaml`,
    )
    .action(run);
}

async function run(argument: string, options: ApplyOptions): Promise<void> {
  const loaded = await plannedArgument(argument, options.env);
  await withTemporal({ worker: 'never', lasting: true }, async ({ cluster }) => {
    const { applySchedule, removeSchedule } = await import('../../workers/schedule.js');
    const { job } = loaded;
    if (options.remove) {
      const removed = await removeSchedule(cluster.client, job.job);
      return say(
        removed ? `${paint.green('✓')} The schedule of ${job.job} is gone.` : `${job.job} has no schedule.`,
      );
    }
    const input = { file: await jobText(loaded), env: options.env };
    const applied = await applySchedule(cluster.client, job, input, options.taskQueue);
    if (options.json) return sayJson(applied);
    const { id, action, paused, next } = applied;
    say(
      `${paint.green('✓')} Schedule ${id} ${action}: ${job.schedule?.cron} (${job.schedule?.timezone})${paused ? ', paused' : ''}`,
    );
    if (!paused) say(`  next: ${next.join(', ')}`);
  });
}
