import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { resolveReference } from '../../job/references.js';
import type { RetentionFile } from '../../job/retention/types.js';
import { installTables, planTables } from '../../postgres/retention/tables.js';
import { withSession } from '../../postgres/session.js';
import { counted, paint, say } from '../terminal.js';
import { addStoreOptions, retentionFile, type StoreCommandOptions } from './stores.js';

interface InstallOptions extends StoreCommandOptions {
  readonly database?: string;
  readonly dryRun?: boolean;
}

export function define(command: Command): void {
  addStoreOptions(command)
    .option(
      '--database <reference>',
      'env:NAME, file:PATH or exec:COMMAND of the tables that name no database',
    )
    .option('--dry-run', 'print the statements and do nothing')
    .addHelpText(
      'after',
      `
Installs lethe.seal, lethe.reveal and their likes, and for the tables of the retention file the masked views, the triggers that
seal and the checks. May run again at any time. Everything that speaks against it is said at once, and then nothing is done.

Examples:
  $ lethe retention install --database env:EVENTS_URL --dry-run
  $ lethe retention install --database env:EVENTS_URL`,
    )
    .action(run);
}

async function run(options: InstallOptions): Promise<void> {
  const file = await retentionFile(options);
  for (const [reference, tables] of byDatabase(file, options.database)) {
    const url = await resolveReference(reference);
    const readOnly = options.dryRun ?? false;
    const done = await withSession(
      { url, role: 'destination', applicationName: 'lethe:cli', readOnly },
      (session) => (readOnly ? planTables : installTables)(session, { policies: file.policies, tables }),
    );
    for (const { table, view, statements } of done) {
      if (readOnly) say(`-- ${table}\n${statements.map((text) => `${text};`).join('\n')}\n`);
      else say(`${paint.green('✓')} ${table}: ${view}, ${counted(statements.length, 'statement')}`);
    }
  }
}

function byDatabase(file: RetentionFile, given: string | undefined): Map<string, RetentionFile['tables']> {
  const found = new Map<string, Record<string, RetentionFile['tables'][string]>>();
  for (const [name, table] of Object.entries(file.tables)) {
    const reference = table.database ?? given;
    if (reference === undefined)
      throw new LetheError(
        'RetentionInvalid',
        `Say where ${name} is: --database env:NAME, or database: in the retention file.`,
      );
    found.set(reference, { ...found.get(reference), [name]: table });
  }
  if (found.size === 0)
    throw new LetheError(
      'RetentionInvalid',
      'The retention file has no tables: there is nothing to install.',
    );
  return found;
}
