import { type Command, Option } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { loadRetention, retentionPath } from '../../job/retention/load.js';
import { maskedColumns } from '../../job/retention/warehouse.js';
import { snowflakeDdl } from '../../retention/dialects/snowflake.js';
import { collect } from '../filter/settings.js';
import { say } from '../terminal.js';

interface DdlOptions {
  readonly target: string;
  readonly language: 'javascript' | 'java';
  readonly schema: string;
  readonly reader: readonly string[];
  readonly retention?: string;
}

export function define(command: Command): void {
  command
    .requiredOption('-t, --target <warehouse>', 'snowflake')
    .addOption(
      new Option('--language <language>', 'what the functions are written in')
        .choices(['javascript', 'java'])
        .default('javascript'),
    )
    .option('--schema <name>', 'where functions and masking policies are made', 'LETHE')
    .option(
      '--reader <role>',
      'a role that sees values, instead of those of the file; may be repeated',
      collect,
      [],
    )
    .option('--retention <file>', 'the retention file (default: LETHE_RETENTION, or retention.yaml here)')
    .addHelpText(
      'after',
      `
The functions only reveal, and nothing that is printed holds a key: sessions bring theirs in variables of the connection.
docs/warehouses.md says how, where they stay, and what can be done with BigQuery and Databricks.

Examples:
  $ lethe retention ddl --target snowflake > lethe.sql
  $ lethe retention ddl --target snowflake --language java --reader ANALYST`,
    )
    .action(run);
}

async function run({ target, language, schema, reader, retention }: DdlOptions): Promise<void> {
  if (target !== 'snowflake')
    throw new LetheError(
      'JobInvalid',
      `No statements are printed for "${target}", only for snowflake; docs/warehouses.md says what can be done with BigQuery and Databricks.`,
    );
  const columns = maskedColumns(await loadRetention(retentionPath(retention)), reader);
  if (columns.length === 0)
    throw new LetheError('JobInvalid', 'The retention file has no tables: there is no column to mask.');
  say(snowflakeDdl(columns, { language, schema }));
}
