import { type Command, InvalidArgumentError } from 'commander';
import { jobInvalid } from '../../job/load.js';
import { parseRetention, readRetentionText, retentionPath } from '../../job/retention/load.js';
import type { SealedTableResult } from '../../workflows/sealExisting.js';
import { EXIT } from '../exit.js';
import { collect } from '../filter/settings.js';
import { uiLink, withTemporal } from '../session.js';
import { paint, say, sayJson, tell } from '../terminal.js';

interface SealOptions {
  readonly retention?: string;
  readonly database?: string;
  readonly dryRun?: boolean;
  readonly redactExpired?: number;
  readonly accept: readonly string[];
  readonly rewrite: boolean;
  readonly taskQueue: string;
  readonly json?: boolean;
}

export function define(command: Command): void {
  command
    .option('--retention <file>', 'the retention file (default: LETHE_RETENTION, or retention.yaml here)')
    .option(
      '--database <reference>',
      'env:NAME, file:PATH or exec:COMMAND of the tables that name no database',
    )
    .option('--dry-run', 'count what would be sealed and what would stay plain, and change nothing')
    .option(
      '--redact-expired <count>',
      'replace values whose day is over: so many, as a dry run counted',
      wholeNumber,
    )
    .option('--accept <name>', 'a trigger, rule or view that may see plain values (repeat)', collect, [])
    .option('--no-rewrite', 'leave out the rewrite, which locks the tables: their files keep what rows were')
    .option('--task-queue <name>', "the workers' task queue", 'lethe')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Seals the columns of the retention file's tables in place, each value dated by the row's own date: whole values, matches inside
texts, JSON fields. What is a token already stays, so it may run again and goes on where it was stopped. Values whose day is
over, and rows without a date that a token can name, stay plain and are counted. A legal hold keeps the values of its days
plain even with --redact-expired. At the end each table is written anew with
its indexes and statistics, under a lock, and its files are searched for values that were sealed.

Exit code 1 when plain values were found in the files.

Examples:
  $ lethe retention seal public.events --database env:EVENTS_URL --dry-run
  $ lethe retention seal public.events --database env:EVENTS_URL --redact-expired 120345`,
    )
    .action(run);
}

function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected the number that a dry run counted.');
}

async function run(tables: readonly string[], options: SealOptions): Promise<void> {
  const name = retentionPath(options.retention);
  const text = await readRetentionText(name);
  const { mistakes } = parseRetention(text, name);
  if (mistakes.length > 0) throw jobInvalid(name, mistakes);
  await withTemporal({ worker: 'embedded' }, async ({ cluster }) => {
    const { startSeal } = await import('../../workers/seals.js');
    const { runError } = await import('../../workers/runs.js');
    const handle = await startSeal(
      cluster.client,
      {
        file: { name, text },
        ...(tables.length > 0 && { tables: [...tables] }),
        ...(options.database !== undefined && { database: options.database }),
        ...(options.dryRun && { dryRun: true }),
        ...(options.redactExpired !== undefined && { redactExpired: options.redactExpired }),
        ...(options.accept.length > 0 && { accept: [...options.accept] }),
        ...(!options.rewrite && { skipRewrite: true }),
      },
      options.taskQueue,
    );
    const link = uiLink(cluster, handle.workflowId);
    tell(`${handle.workflowId}${link ? `\n${link}` : ''}`);
    const results = await handle.result().catch((error: unknown) => {
      throw runError(error, handle.workflowId);
    });
    if (results.some(({ end }) => (end?.found ?? 0) > 0)) process.exitCode = EXIT.failed;
    if (options.json) sayJson(results);
    else for (const result of results) show(result, options.dryRun ?? false);
  });
}

function show({ table, columns, notes, end }: SealedTableResult, dryRun: boolean): void {
  say(`${paint.bold(table)}`);
  for (const [name, counts] of Object.entries(columns)) {
    const { sealed, redacted, expired, held, undated, noKey, refused, lookalikes } = counts;
    const plain = [
      [expired, 'dated a day that is over'],
      [held, 'dated a day that a legal hold keeps'],
      [undated, 'without a date that a token can name'],
      [noKey, 'dated a day without a key'],
      [refused, 'that no token holds, or without a policy'],
    ].flatMap(([count, what]) => (count === 0 ? [] : `${count} ${what}`));
    say(
      `  ${name}: ${sealed} ${dryRun ? 'to be sealed' : 'sealed'}${redacted > 0 ? `, ${redacted} redacted` : ''}; ${plain.length === 0 ? 'nothing' : plain.join(', ')} ${dryRun ? 'would stay' : 'is left'} plain${lookalikes > 0 ? `; ${lookalikes} parts only look like tokens` : ''}`,
    );
  }
  for (const note of notes) say(`  ${paint.yellow('!')} ${note}`);
  if (end) say(`  ${endText(end)}`);
}

function endText({ rewritten, looked, found, unread }: NonNullable<SealedTableResult['end']>): string {
  const begin = rewritten ? 'Written anew.' : 'Not written anew: its files keep what rows were.';
  if (unread !== undefined) return `${begin} Files: not checked, ${unread}.`;
  if (found > 0)
    return `${paint.red('✗')} ${begin} ${found} of ${looked} values that were sealed still stand in its files in plain: in another column, or in rows that an old transaction still sees.`;
  return `${paint.green('✓')} ${begin} None of ${looked} values that were sealed stands in its files.`;
}
