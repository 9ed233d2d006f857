import type { Command } from 'commander';
import type { Check } from '../../workers/doctor.js';
import { EXIT } from '../exit.js';
import { plannedArgument } from '../inputs.js';
import { paint, say, sayJson, tell } from '../terminal.js';

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--json', 'print the checks as JSON')
    .addHelpText(
      'after',
      `
Exit code 0 when nothing is wrong, 3 otherwise.

Examples:
  $ lethe doctor
  $ lethe doctor crm-staging.yaml`,
    )
    .action(run);
}

const MARK = { ok: () => paint.green('✓'), note: () => paint.yellow('!'), wrong: () => paint.red('✗') };

async function run(argument: string | undefined, options: { env?: string; json?: boolean }): Promise<void> {
  const { doctor } = await import('../../workers/doctor.js');
  const job = argument === undefined ? undefined : (await plannedArgument(argument, options.env)).job;
  const checks: Check[] = [];
  for await (const check of doctor(job, tell)) {
    checks.push(check);
    if (!options.json) say(`${MARK[check.state]()} ${check.name.padEnd(18)} ${check.message}`);
  }
  if (options.json) sayJson(checks);
  if (checks.some(({ state }) => state === 'wrong')) process.exitCode = EXIT.surroundings;
}
