import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { globMistake, tableFilter } from '../../job/globs.js';
import { isMongoUrl, withConnection } from '../../mongo/connection.js';
import { draftDocuments } from '../../mongo/draft.js';
import { draftJob } from '../../plan/draft.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { withSession } from '../../postgres/session.js';
import { databaseArgument } from '../inputs.js';
import { counted, say, tell } from '../terminal.js';

interface InitOptions {
  readonly out?: string;
  readonly job: string;
  readonly destination: string;
  readonly include: string[];
  readonly force?: boolean;
}

export function define(command: Command): void {
  command
    .option('-o, --out <file>', 'write it to a file instead of printing it')
    .option('-j, --job <name>', 'name of the job', 'my-job')
    .option('-d, --destination <reference>', 'where the copy goes', 'env:DESTINATION_URL')
    .option('-i, --include <glob...>', 'only tables that match, e.g. "public.*"', ['*'])
    .option('-f, --force', 'overwrite the file')
    .addHelpText(
      'after',
      `
Suggestions come from the names and types of columns; no row is read. Over MongoDB a sample of documents is looked at
for names and types of fields. Nothing is written to the database.

Examples:
  $ lethe init env:CRM_URL --out crm-staging.yaml --job crm-staging
  $ lethe init postgres://reader@db.example/crm --include "public.*" "sales.*"`,
    )
    .action(run);
}

async function run(argument: string, options: InitOptions): Promise<void> {
  const mistake = options.include.map(globMistake).find((found) => found !== undefined);
  if (mistake) throw new LetheError('JobInvalid', `--include: ${mistake}`);
  const wanted = tableFilter(options.include, []);
  const { url, reference } = await databaseArgument(argument, 'source');
  if (isMongoUrl(url)) return initDocuments(url, reference, wanted, options);
  const catalog = await withSession({ url, role: 'source', applicationName: 'lethe:init' }, (session) =>
    readCatalog(session, { include: (schema, table) => wanted(`${schema}.${table}`) }),
  );
  if (catalog.tables.length === 0) {
    throw new LetheError(
      'ObjectMissing',
      'This database shows us no table that matches --include. Check its name and the rights of the role.',
    );
  }
  const draft = draftJob(catalog, {
    job: options.job,
    source: reference ?? 'env:SOURCE_URL',
    destination: options.destination,
  });
  if (options.out === undefined) say(draft.text.trimEnd());
  else await write(options.out, draft.text, options.force === true);
  const left = draft.undecided.length;
  tell(
    `${counted(draft.tables, 'table')}, ${counted(draft.columns, 'column')}; ${left === 0 ? 'none' : counted(left, 'column')} left to decide (marked "undecided").`,
  );
  if (reference === undefined) tell('The URL is not in the file: set SOURCE_URL to it.');
  tell(`Next: look at every line, then run \`lethe plan ${options.out ?? 'FILE'}\`.`);
}

async function initDocuments(
  url: string,
  reference: string | undefined,
  include: (name: string) => boolean,
  options: InitOptions,
): Promise<void> {
  const { job, destination } = options;
  const draft = await withConnection({ url, role: 'source', applicationName: 'lethe:init' }, (connection) =>
    draftDocuments(connection, { job, destination, include, source: reference ?? 'env:SOURCE_URL' }),
  );
  if (draft.collections === 0) {
    throw new LetheError(
      'ObjectMissing',
      'The server shows us no collection that matches --include. Check the database in the URL and the rights of the user.',
    );
  }
  if (options.out === undefined) say(draft.text.trimEnd());
  else await write(options.out, draft.text, options.force === true);
  const left = draft.undecided.length;
  tell(
    `${counted(draft.collections, 'collection')}, ${counted(draft.fields, 'field')}; ${left === 0 ? 'none' : counted(left, 'field')} left to decide (marked "undecided").`,
  );
  if (reference === undefined) tell('The URL is not in the file: set SOURCE_URL to it.');
  tell(`Next: look at every line, then run \`lethe plan ${options.out ?? 'FILE'}\`.`);
}

async function write(file: string, text: string, force: boolean): Promise<void> {
  try {
    await writeFile(file, text, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const why =
      code === 'EEXIST'
        ? 'is there already. Choose another file, or overwrite it with --force'
        : `cannot be written (${code}). Choose another file`;
    throw new LetheError('JobInvalid', `${file} ${why}.`);
  }
}
