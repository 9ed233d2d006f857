import { type Command, InvalidArgumentError } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { resolveReference } from '../../job/references.js';
import { redactRecorded } from '../../postgres/retention/recording.js';
import type { Redaction } from '../../postgres/retention/redact.js';
import { withSession } from '../../postgres/session.js';
import { collect } from '../filter/settings.js';
import { counted, paint, say, sayJson } from '../terminal.js';
import { addStoreOptions, openStores, retentionFile, type StoreCommandOptions } from './stores.js';

interface RedactOptions extends StoreCommandOptions {
  readonly where: string;
  readonly column: readonly string[];
  readonly database?: string;
  readonly actor: string;
  readonly reason: string;
  readonly confirm?: number;
}

export function define(command: Command): void {
  addStoreOptions(command)
    .requiredOption('--where <condition>', 'SQL condition over the rows of the table')
    .requiredOption('--actor <name>', 'who answers for it')
    .requiredOption('--reason <text>', 'why; it stands in the receipt, so name no subject')
    .option('--column <name>', 'only this sealed column (repeat)', collect, [])
    .option(
      '--database <reference>',
      'env:NAME, file:PATH or exec:COMMAND, where the retention file names none',
    )
    .option('--confirm <rows>', 'do it: to so many rows, as a call without it counted', wholeNumber)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Rewrites the tokens in some rows to what their policies say of expired values: for one subject, whose day keys live on
because they are those of everybody else. Without --confirm it only counts. The key store gets a receipt of it: table,
columns, rows, actor and reason. A hold over a day of these tokens refuses it.

Copies of the tokens in backups, exports and old row versions stay readable until their day ends. The server logs the
condition where it logs statements.

Examples:
  $ lethe retention redact public.events --where "user_id = 7" --actor "D. Officer" --reason "request 12"
  $ lethe retention redact public.events --where "user_id = 7" --actor "D. Officer" --reason "request 12" --confirm 41`,
    )
    .action(run);
}

function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected the number of rows that a call without --confirm counted.');
}

async function run(table: string, options: RedactOptions): Promise<void> {
  const file = await retentionFile(options);
  const reference = file.tables[table]?.database ?? options.database;
  if (reference === undefined)
    throw new LetheError(
      'RetentionInvalid',
      `Say where ${table} is: --database env:NAME, or database: in the retention file.`,
    );
  const { actor, reason, where, column, confirm } = options;
  if (!actor.trim() || !reason.trim())
    throw new LetheError('RetentionInvalid', 'A redaction has an actor and a reason: --actor and --reason.');
  const stores = await openStores(file, options);
  const url = await resolveReference(reference);
  const readOnly = confirm === undefined;
  const result = await withSession(
    { url, role: 'destination', applicationName: 'lethe:redact', readOnly },
    (session) =>
      redactRecorded(
        session,
        file,
        {
          ...{ table, where },
          ...(column.length > 0 && { columns: column }),
          ...(confirm !== undefined && { confirmed: confirm }),
        },
        stores,
        { actor, reason },
      ),
  );
  if (options.json) sayJson(result);
  else show(result);
}

function show({ table, columns, rows, policies, done }: Redaction): void {
  const by = Object.entries(policies).map(([policy, count]) => `${count} of policy ${policy}`);
  const what = `${counted(rows, 'row')} of ${table} (${columns.join(', ')})${by.length > 0 ? `: ${by.join(', ')}` : ''}`;
  if (!done) say(`${what} would be rewritten. To do it, call again with --confirm ${rows}.`);
  else
    say(
      `${paint.green('✓')} ${what} rewritten and recorded. VACUUM (FULL) ${table} takes the old row versions away.`,
    );
}
