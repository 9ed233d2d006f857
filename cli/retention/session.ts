import { closeSync, fchmodSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { type Command, Option } from 'commander';
import { LetheError } from '../../errors/errors.js';
import {
  SESSION_FORMATS,
  type SessionFormat,
  snowflakeSession,
} from '../../retention/dialects/snowflakeSession.js';
import { collect } from '../filter/settings.js';
import { withRings } from '../filter/source.js';
import { tell } from '../terminal.js';
import { retentionFile, type StoreCommandOptions } from './stores.js';

const STDOUT = 1;

interface SessionOptions extends StoreCommandOptions {
  readonly target: string;
  readonly format: SessionFormat;
  readonly policy: readonly string[];
  readonly since?: string;
  readonly actor?: string;
  readonly output?: string;
  readonly force?: boolean;
}

export function define(command: Command): void {
  command
    .requiredOption('-t, --target <warehouse>', 'snowflake')
    .addOption(
      new Option('--format <format>', 'properties and json: of the connection; sql: SET statements')
        .choices(SESSION_FORMATS)
        .default('properties'),
    )
    .option('-p, --policy <id>', 'the keys of this policy only; may be repeated', collect, [])
    .option('--since <yyyy-mm-dd>', 'the keys of this day and later ones')
    .option('--actor <name>', 'who reads: the actor of a hold gets the days that it keeps')
    .option('-o, --output <file>', 'a new file that nobody else may read')
    .option('--force', 'also to a terminal, a file that others may read, or as statements')
    .option('--retention <file>', 'the retention file (default: LETHE_RETENTION, or retention.yaml here)')
    .addHelpText(
      'after',
      `
Writes the day keys as session variables, for the program that opens the sessions: into a pipe, or a new file with mode 0600, never
to a terminal. SET statements stay in the query history of Snowflake for a year, with the keys in them: they need --force.
docs/warehouses.md says where keys stay.

Examples:
  $ java -jar report.jar --properties <(lethe retention session --target snowflake)
  $ lethe retention session --target snowflake --policy ip --format json | my-loader`,
    )
    .action(run);
}

async function run(options: SessionOptions): Promise<void> {
  const { target, format, policy, since, actor, force } = options;
  if (target !== 'snowflake')
    throw new LetheError(
      'JobInvalid',
      `There are no session variables for "${target}", only for snowflake; docs/warehouses.md says what can be done with BigQuery and Databricks.`,
    );
  if (format === 'sql' && !force)
    throw new LetheError(
      'JobInvalid',
      'SET statements stay in the query history of Snowflake for a year, with the keys in them. Set properties of the connection (--format properties or json), or say --force.',
    );
  // Before a key is handed out, which receipts count.
  if (options.output === undefined && !force) refuseShared();
  const file = await retentionFile(options);
  await withRings(file, async (source) => {
    const rings = await source.rings({
      ...(policy.length > 0 && { policies: policy }),
      ...(since !== undefined && { since }),
      ...(actor !== undefined && { actor }),
    });
    const text = snowflakeSession(rings, file.policies, format);
    if (options.output === undefined) writeFileSync(STDOUT, text);
    else writePrivate(options.output, text);
    const days = rings.reduce((sum, { keys }) => sum + keys.size, 0);
    tell(
      `Keys of ${days} days, for sessions of today: open new ones tomorrow, and after each destruction or hold.`,
    );
  });
}

/** Keys go where nobody else reads them: a pipe, a socket, a file of the user's own. */
function refuseShared(): void {
  const stat = fstatSync(STDOUT);
  if (isatty(STDOUT))
    throw new LetheError(
      'JobInvalid',
      'Keys are not written to a terminal: pipe them into the program that opens the sessions, or say --output FILE.',
    );
  if (stat.isFile() && (stat.mode & 0o077) !== 0)
    throw new LetheError(
      'JobInvalid',
      'Keys are not written to a file that others may read: use a pipe, --output FILE, or `umask 077` before.',
    );
}

/** A file that was not there, so nobody has it open. */
function writePrivate(path: string, text: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new LetheError(
      'JobInvalid',
      code === 'EEXIST'
        ? `${path} is there already, and others may have it open: name a new file.`
        : `${path} cannot be written (${code}).`,
    );
  }
  try {
    fchmodSync(fd, 0o600);
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
