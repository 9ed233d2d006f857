import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { tableFilter } from '../../job/globs.js';
import { resolveReference } from '../../job/references.js';
import type { Job } from '../../job/types.js';
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
The URLs of the job must let us look at the catalogs; who runs the SQL owns the tables, or is a superuser.

Examples:
  $ lethe grants crm-staging.yaml --source-role lethe_reader > grants.sql`,
    )
    .action(run);
}

async function run(argument: string, options: GrantsOptions): Promise<void> {
  const { job } = await jobArgument(argument, options.env);
  const { createSchema, mode, deleteMissing } = job.destination;
  const source = await look(job, 'source', options.sourceRole);
  say(sourceGrants({ ...source, createSchema }));
  const destination = await look(job, 'destination', options.destinationRole);
  say(destinationGrants({ ...destination, createSchema, mode, deleteMissing }));
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
        throw new LetheError(
          'ObjectMissing',
          'The source shows us no table of the job: check include, exclude and the database of its URL.',
        );
      }
      return { role: role ?? session.user, catalog };
    },
  );
}
