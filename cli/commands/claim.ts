import { hostname, userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { jobFolder, listJobs } from '../../job/folder.js';
import { parseJob } from '../../job/load.js';
import { resolveReference } from '../../job/references.js';
import { databasesOf, readCatalog as readDocumentCatalog } from '../../mongo/catalog.js';
import {
  claimDestination as claimDocumentDestination,
  deploymentsOf,
  destinationState as documentState,
} from '../../mongo/claim.js';
import { type Connection, isMongoUrl, withConnection } from '../../mongo/connection.js';
import { isOurs } from '../../plan/documents/build.js';
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
  if (isMongoUrl(url)) return claimDocuments(url, options);
  await withSession({ url, role: 'destination', applicationName: 'lethe:claim' }, async (session) => {
    await refuseSource(session);
    const { identity, state, claim } = await destinationState(session);
    const { tables } = await readCatalog(session);
    const rows = tables.reduce((sum, table) => sum + Math.max(0, table.rows), 0);
    tellClaim(state, claim);
    tell(
      `Database ${paint.bold(identity.name)} at ${hostOf(url)}: ${counted(tables.length, 'table')}, about ${count(rows)} rows. Runs in mode replace empty the tables of their job.`,
    );
    await ask(identity.name, options);
    await claimDestination(session, { by: person(), jobs: options.job });
    say(`${paint.green('✓')} ${identity.name} is claimed for ${options.job?.join(', ') ?? 'any job'}.`);
  });
}

/** The same over MongoDB. */
async function claimDocuments(url: string, options: ClaimOptions): Promise<void> {
  await withConnection({ url, role: 'destination', applicationName: 'lethe:claim' }, async (connection) => {
    await refuseDocumentSource(connection);
    const { identity, state, claim } = await documentState(connection);
    const { collections } = await readDocumentCatalog(connection, [identity.name]);
    const theirs = collections.filter((collection) => !isOurs(collection));
    const rows = theirs.reduce((sum, collection) => sum + collection.rows, 0);
    tellClaim(state, claim);
    tell(
      `Database ${paint.bold(identity.name)}: ${counted(theirs.length, 'collection')}, about ${count(rows)} documents. Runs in mode replace put collections of their own in the place of those of their job.`,
    );
    await ask(identity.name, options);
    await claimDocumentDestination(connection, { by: person(), jobs: options.job });
    say(`${paint.green('✓')} ${identity.name} is claimed for ${options.job?.join(', ') ?? 'any job'}.`);
  });
}

function tellClaim(
  state: 'none' | 'cloned' | 'claimed',
  claim: { claimedBy: string; claimedAt: string; jobs: readonly string[] | undefined } | undefined,
): void {
  if (state === 'claimed')
    tell(
      `Claimed already, by ${claim?.claimedBy} on ${claim?.claimedAt}${claim?.jobs ? ` for ${claim.jobs.join(', ')}` : ''}.`,
    );
  if (state === 'cloned')
    tell(
      `It carries the claim of another database, of which it is a copy (${claim?.claimedBy}, ${claim?.claimedAt}).`,
    );
}

/** @throws LetheError unless a person says yes. */
async function ask(name: string, { yes }: ClaimOptions): Promise<void> {
  if (yes || (await confirm(name))) return;
  throw new LetheError(
    'JobInvalid',
    'Not claimed: the answer was not the name of the database. --yes skips the question.',
  );
}

async function refuseDocumentSource(destination: Connection): Promise<void> {
  for (const { text, file } of [...(await listJobs(jobFolder())), ...(await listJobs('.'))]) {
    const { job } = parseJob(text, file);
    const url = job?.engine === 'mongo' && (await resolveReference(job.source.url).catch(() => undefined));
    if (!job || !url) continue;
    const options = { url, role: 'source', applicationName: 'lethe:claim', timeoutMs: 3_000 } as const;
    const same = await withConnection(options, async (source) => {
      if ((await deploymentsOf(source, destination)) === 'two') return false;
      return (await databasesOf(source)).includes(destination.database.databaseName);
    }).catch(() => false);
    if (same)
      throw new LetheError(
        'DestinationIsSource',
        `Job ${job.job} (${file}) reads from this database: it must never be written.`,
      );
  }
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
