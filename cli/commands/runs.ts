import type { Command } from 'commander';
import { type LedgerOptions, ledgersOf, runsOf, stateText } from '../ledgers.js';
import { duration, paint, say, sayJson, table, tell } from '../terminal.js';
import { addLedgerOptions, wholeNumber } from './options.js';

interface RunsOptions extends LedgerOptions {
  readonly limit: number;
  readonly json?: boolean;
}

export function define(command: Command): void {
  addLedgerOptions(command)
    .option('-n, --limit <n>', 'so many of each destination', wholeNumber, 20)
    .option('--json', 'print them as JSON')
    .addHelpText(
      'after',
      `
Without --job and --dest, the destinations of all jobs in LETHE_JOBS and in this folder are looked into.

Examples:
  $ lethe runs
  $ lethe runs --job crm-staging.yaml --json`,
    )
    .action(run);
}

async function run(options: RunsOptions): Promise<void> {
  const runs = [];
  for (const ledger of await ledgersOf(options)) {
    const rows = await runsOf(ledger, { limit: options.limit });
    runs.push(...rows.map((row) => ({ ...row, destination: ledger.name })));
  }
  runs.sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  if (options.json) return sayJson(runs.map(({ report: _, ...row }) => row));
  if (runs.length === 0) return tell('No runs yet.');
  const colour = (state: string) =>
    state === 'complete' ? paint.green(state) : /failed|silent/.test(state) ? paint.red(state) : state;
  say(
    table(
      [
        { head: 'run' },
        { head: 'job', width: 24 },
        { head: 'state' },
        { head: 'started (UTC)' },
        { head: 'took', right: true },
      ],
      runs.map((row) => [
        row.run,
        row.job,
        colour(stateText(row)),
        row.startedAt.slice(0, 19).replace('T', ' '),
        took(row),
      ]),
    ),
  );
}

function took({ startedAt, endedAt }: { startedAt: string; endedAt?: string }): string {
  return endedAt === undefined ? '' : duration((Date.parse(endedAt) - Date.parse(startedAt)) / 1000);
}
