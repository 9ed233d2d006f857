import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { tableFilter } from '../../job/globs.js';
import { resolveReference } from '../../job/references.js';
import type { Job } from '../../job/types.js';
import { databasesOf, readCatalog as readDocumentCatalog } from '../../mongo/catalog.js';
import { databaseIn, withConnection } from '../../mongo/connection.js';
import { destinationDocumentGrants, sourceDocumentGrants } from '../../mongo/grants.js';
import { buildDocumentPlan } from '../../plan/documents/build.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { destinationGrants, sourceGrants } from '../../postgres/grants.js';
import { withSession } from '../../postgres/session.js';
import { jobArgument } from '../inputs.js';
import { say } from '../terminal.js';

interface GrantsOptions {
  readonly env?: string;
  readonly sourceRole?: string;
  readonly destinationRole?: string;
}

export function define(command: Command): void {
  command
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .option('--source-role <name>', 'role on the source (default: the user of its URL)')
    .option('--destination-role <name>', 'role on the destination (default: the user of its URL)')
    .addHelpText(
      'after',
      `
The URLs of the job must let us look at the catalogs; who runs the SQL owns the tables, or is a superuser. Over MongoDB it
prints commands for mongosh, for a user who may make roles.

Examples:
  $ lethe grants crm-staging.yaml --source-role lethe_reader > grants.sql`,
    )
    .action(run);
}

async function run(argument: string, options: GrantsOptions): Promise<void> {
  const { job } = await jobArgument(argument, options.env);
  if (job.engine === 'mongo') return say(await documentGrants(job, options));
  const { createSchema, mode, deleteMissing } = job.destination;
  const source = await look(job, 'source', options.sourceRole);
  say(sourceGrants({ ...source, createSchema }));
  const destination = await look(job, 'destination', options.destinationRole);
  say(destinationGrants({ ...destination, createSchema, mode, deleteMissing }));
}

/** Users of MongoDB, and where they are made, by the URLs. */
async function documentGrants(job: Job, options: GrantsOptions): Promise<string> {
  const [sourceUrl, destinationUrl] = [
    await resolveReference(job.source.url),
    await resolveReference(job.destination.url),
  ];
  const common = { applicationName: 'lethe:grants' };
  return withConnection({ ...common, url: sourceUrl, role: 'source' }, (source) =>
    withConnection({ ...common, url: destinationUrl, role: 'destination' }, async (destination) => {
      const databases = await databasesOf(source, Object.keys(job.collections ?? {}).map(databasePart));
      const from = await readDocumentCatalog(source, databases);
      const to = await readDocumentCatalog(destination, []);
      const { tables } = buildDocumentPlan({ job, source: from, destination: to });
      if (tables.length === 0) throw noTables();
      const written = tables.map((table) => table.destination);
      const pushed = tables.filter(({ collection }) => collection?.pushdown);
      return [
        sourceDocumentGrants({
          ...{ ...userOf(sourceUrl, options.sourceRole), job: job.job, databases },
          collections: tables.map((table) => table.source),
          listDatabases: !source.named,
          markedDatabase: destination.database.databaseName,
        }),
        destinationDocumentGrants({
          ...{ ...userOf(destinationUrl, options.destinationRole), job: job.job, mode: job.destination.mode },
          databases: [...new Set([to.database.name, ...written.map(({ schema }) => schema)])],
          collections: written,
          pushedDown: pushed.map((table) => table.source),
        }),
      ].join('\n');
    }),
  );
}

function databasePart(name: string): string {
  return name.slice(0, name.indexOf('.'));
}

/** A server without logins has no user yet: it is called `lethe` then. */
function userOf(url: string, given: string | undefined): { user: string; userDatabase: string } {
  const [, name] = /^mongodb(?:\+srv)?:\/\/([^/:@]+)(?::[^/@]*)?@/.exec(url) ?? [];
  const source = /[?&]authSource=([^&]+)/.exec(url)?.[1];
  const userDatabase = source === undefined ? (databaseIn(url) ?? 'admin') : decodeURIComponent(source);
  return { user: given ?? (name ? decodeURIComponent(name) : 'lethe'), userDatabase };
}

function noTables(): LetheError {
  return new LetheError(
    'ObjectMissing',
    'The source shows us no table of the job: check include, exclude and the database of its URL.',
  );
}

async function look(job: Job, side: 'source' | 'destination', role: string | undefined) {
  const wanted = tableFilter(job.include, job.exclude);
  const names = new Map(Object.entries(job.destination.schemas).map(([from, to]) => [to, from]));
  const renamed = new Map(
    Object.entries(job.tables).flatMap(([from, { rename }]) => (rename ? [[rename, from] as const] : [])),
  );
  const include = (schema: string, table: string) => {
    if (side === 'source') return wanted(`${schema}.${table}`);
    return wanted(renamed.get(`${schema}.${table}`) ?? `${names.get(schema) ?? schema}.${table}`);
  };
  const url = await resolveReference(job[side].url);
  return withSession(
    { url, role: side, applicationName: 'lethe:grants', readOnly: true, encoding: job.source.encoding },
    async (session) => {
      const catalog = await readCatalog(session, { include });
      if (side === 'source' && catalog.tables.length === 0) {
        throw noTables();
      }
      return { role: role ?? session.user, catalog };
    },
  );
}
