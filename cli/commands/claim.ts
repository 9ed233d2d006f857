import { hostname, userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { jobFolder, listJobs } from '../../job/folder.js';
import { parseJob } from '../../job/load.js';
import { resolveReference } from '../../job/references.js';
import { sameDatabase } from '../../postgres/catalog/identity.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { claimDestination, destinationState } from '../../postgres/claim.js';
import { type Session, withSession } from '../../postgres/session.js';
import { databaseArgument } from '../inputs.js';
import { count, counted, paint, say, tell } from '../terminal.js';

interface ClaimOptions {
  readonly yes?: boolean;
  readonly job?: string[];
  readonly env?: string;
}

export function define(command: Command): void {
  command
    .option('-y, --yes', 'do not ask')
    .option('-j, --job <name...>', 'only these jobs may write it (default: any)')
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .addHelpText(
      'after',
      `
Needed once for a destination that is not empty. An empty one is claimed by the first run. A copy of a claimed
database is not claimed, and the source of a job never can be.

Examples:
  $ lethe claim env:STAGING_URL
  $ lethe claim crm-staging.yaml --yes --job crm-staging`,
    )
    .action(run);
}

async function run(argument: string, options: ClaimOptions): Promise<void> {
  const { url } = await databaseArgument(argument, 'destination', options.env);
  await withSession({ url, role: 'destination', applicationName: 'lethe:claim' }, async (session) => {
    await refuseSource(session);
    const { identity, state, claim } = await destinationState(session);
    const { tables } = await readCatalog(session);
    const rows = tables.reduce((sum, table) => sum + Math.max(0, table.rows), 0);
    if (state === 'claimed')
      tell(
        `Claimed already, by ${claim?.claimedBy} on ${claim?.claimedAt}${claim?.jobs ? ` for ${claim.jobs.join(', ')}` : ''}.`,
      );
    if (state === 'cloned')
      tell(
        `It carries the claim of another database, of which it is a copy (${claim?.claimedBy}, ${claim?.claimedAt}).`,
      );
    tell(
      `Database ${paint.bold(identity.name)} at ${hostOf(url)}: ${counted(tables.length, 'table')}, about ${count(rows)} rows. Runs in mode replace empty the tables of their job.`,
    );
    if (!options.yes && !(await confirm(identity.name)))
      throw new LetheError(
        'JobInvalid',
        'Not claimed: the answer was not the name of the database. --yes skips the question.',
      );
    await claimDestination(session, { by: person(), jobs: options.job });
    say(`${paint.green('✓')} ${identity.name} is claimed for ${options.job?.join(', ') ?? 'any job'}.`);
  });
}

/** A database that a job of this machine reads from is never written. */
async function refuseSource(destination: Session): Promise<void> {
  const files = [...(await listJobs(jobFolder())), ...(await listJobs('.'))];
  for (const { text, file } of files) {
    const { job } = parseJob(text, file);
    const url = job && (await resolveReference(job.source.url).catch(() => undefined));
    if (!job || !url) continue;
    const options = {
      url,
      role: 'source',
      applicationName: 'lethe:claim',
      encoding: job.source.encoding,
    } as const;
    const same = await withSession(options, (source) => sameDatabase(source, destination)).catch(() => false);
    if (same)
      throw new LetheError(
        'DestinationIsSource',
        `Job ${job.job} (${file}) reads from this database: it must never be written.`,
      );
  }
}

async function confirm(name: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`Type the name of the database to allow it: `);
  lines.close();
  return answer.trim() === name;
}

function person(): string {
  return `${userInfo().username}@${hostname()}`;
}

function hostOf(url: string): string {
  try {
    return new URL(url).host || 'the local server';
  } catch {
    return 'the given server';
  }
}
