import { access, constants, mkdir } from 'node:fs/promises';
import { parseJobKey } from '../anonymize/keys.js';
import { findTemporal } from '../embedded/temporal-binary.js';
import { LetheError } from '../errors/errors.js';
import { resolveReference } from '../job/references.js';
import type { Job } from '../job/types.js';
import { sameDatabase } from '../postgres/catalog/identity.js';
import { readCatalog } from '../postgres/catalog/read.js';
import { destinationState } from '../postgres/claim.js';
import { quoteLiteral } from '../postgres/identifiers.js';
import { ledgerVersion } from '../postgres/ledger/migrate.js';
import { planJob } from '../postgres/planning.js';
import { silenceFor } from '../postgres/saga/guards.js';
import { owingRuns } from '../postgres/saga/restore.js';
import { findPgDump } from '../postgres/schema/pgDump.js';
import { openSession, query, type Session, withSession, withTransaction } from '../postgres/session.js';
import { underSnapshot } from '../postgres/snapshot.js';
import { CONTROL_QUEUE, dataQueue } from '../workflows/queues.js';
import { connectClient, temporalSettings } from './connection.js';
import { documentChecks } from './doctorDocuments.js';
import { pollers } from './runs.js';
import { missingAttributes } from './searchAttributes.js';

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  /** `note`: it works, but somebody should know. */
  readonly state: 'ok' | 'note' | 'wrong';
  /** What was found, and for `wrong` the fix. */
  readonly message: string;
}

/** Oldest PostgreSQL that Lethe speaks to. */
const OLDEST_POSTGRES = 120_000;

/**
 * Looks at every part that a run needs, in order; what cannot be looked at because something before it is wrong is left
 * out. Changes nothing, apart from downloading a Temporal server where one is needed and missing.
 */
export async function* doctor(job: Job | undefined, tell: (line: string) => void): AsyncGenerator<Check> {
  yield nodeVersion();
  yield* temporalChecks(tell);
  if (job) yield* jobChecks(job);
}

function nodeVersion(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return ok('Node.js', process.versions.node);
  return wrong('Node.js', `${process.versions.node} is too old: install 20.19 or newer`);
}

async function* temporalChecks(tell: (line: string) => void): AsyncGenerator<Check> {
  const settings = await attempt('Temporal', () => temporalSettings());
  if (isCheck(settings)) return yield settings;
  if (!settings) {
    yield await attempted('Temporal', async () =>
      ok('Temporal', `no TEMPORAL_ADDRESS: a server of our own, ${await findTemporal(tell)}`),
    );
    yield await attempted('State folder', async () => {
      await mkdir('.lethe', { recursive: true });
      await access('.lethe', constants.W_OK);
      return ok('State folder', '.lethe can be written');
    });
    return;
  }
  const client = await attempt('Temporal', () => connectClient(settings));
  if (isCheck(client)) return yield client;
  const { namespace } = settings;
  yield ok('Temporal', `${settings.connection.address} answers`);
  yield await attempted('Namespace', async () => {
    await client.workflowService.describeNamespace({ namespace });
    return ok('Namespace', namespace);
  });
  yield await attempted('Search attributes', async () => {
    const missing = await missingAttributes(client, namespace);
    if (missing.length === 0) return ok('Search attributes', 'registered');
    return note(
      'Search attributes',
      `${missing.join(', ')} are missing: the first worker adds them if its role may`,
    );
  });
  for (const queue of [CONTROL_QUEUE, dataQueue(CONTROL_QUEUE)]) {
    yield await attempted('Workers', async () => {
      const polling = await pollers(client, namespace, queue);
      return polling > 0
        ? ok('Workers', `queue ${queue} is polled`)
        : note('Workers', `nobody polls queue ${queue}: start \`lethe worker\``);
    });
  }
  await client.connection.close();
}

async function* jobChecks(job: Job): AsyncGenerator<Check> {
  yield await attempted('Job key', async () => {
    parseJobKey(await resolveReference(job.key));
    return ok('Job key', `${job.key} gives 32 bytes`);
  });
  const sourceUrl = await attempt('Source', () => resolveReference(job.source.url));
  if (isCheck(sourceUrl)) yield sourceUrl;
  const destinationUrl = await attempt('Destination', () => resolveReference(job.destination.url));
  if (isCheck(destinationUrl)) yield destinationUrl;
  if (job.engine === 'mongo') {
    if (!isCheck(sourceUrl) && !isCheck(destinationUrl))
      yield* documentChecks(job, sourceUrl, destinationUrl);
    return;
  }
  const source = isCheck(sourceUrl)
    ? undefined
    : await attempt('Source', () => open(job, 'source', sourceUrl));
  if (isCheck(source)) yield source;
  const destination = isCheck(destinationUrl)
    ? undefined
    : await attempt('Destination', () => open(job, 'destination', destinationUrl));
  if (isCheck(destination)) yield destination;
  try {
    if (source && !isCheck(source) && !isCheck(sourceUrl)) yield* sourceChecks(job, source, sourceUrl);
    if (destination && !isCheck(destination)) yield* destinationChecks(job, destination);
    if (source && destination && !isCheck(source) && !isCheck(destination))
      yield* bothChecks(job, source, destination);
  } finally {
    for (const session of [source, destination]) if (session && !isCheck(session)) await session.close();
  }
}

function open(job: Job, role: 'source' | 'destination', url: string): Promise<Session> {
  return openSession({
    url,
    role,
    applicationName: 'lethe:doctor',
    readOnly: true,
    encoding: job.source.encoding,
  });
}

async function* sourceChecks(job: Job, source: Session, url: string): AsyncGenerator<Check> {
  yield version('Source', source);
  yield await attempted('Snapshot', () => snapshotTravels(job, source, url));
  if (job.destination.createSchema) {
    yield await attempted('pg_dump', async () => {
      const { path, version: major } = await findPgDump(Math.floor(source.serverVersion / 10_000));
      return ok('pg_dump', `${major}, ${path}`);
    });
  }
}

/** Poolers that hand a session's next statement to another backend break exported snapshots. */
async function snapshotTravels(job: Job, source: Session, url: string): Promise<Check> {
  return withTransaction(
    source,
    async () => {
      const [row] = await query(source, 'SELECT pg_export_snapshot() AS id');
      await withSession(
        { url, role: 'source', applicationName: 'lethe:doctor', encoding: job.source.encoding },
        async (other) => {
          await underSnapshot(other, [row?.id ?? ''], () => query(other, 'SELECT 1'));
          // Unused, but a pooler in transaction mode would lose it here.
          await query(other, `SELECT ${quoteLiteral(row?.id ?? '')} AS id`);
        },
      );
      return ok('Snapshot', 'can be exported and imported');
    },
    { isolation: 'repeatable read', readOnly: true },
  );
}

async function* destinationChecks(job: Job, destination: Session): AsyncGenerator<Check> {
  yield version('Destination', destination);
  if (destination.inRecovery)
    yield wrong('Destination', 'it is a standby and cannot be written: give the URL of its primary');
  yield await attempted('Claim', async () => {
    const { state, claim } = await destinationState(destination);
    if (state === 'claimed') {
      const allowed = claim?.jobs === undefined || claim.jobs.includes(job.job);
      if (!allowed)
        return note(
          'Claim',
          `claimed for ${claim?.jobs?.join(', ')} only: \`lethe claim\` allows this job if its tables hold rows`,
        );
      return ok('Claim', `claimed by ${claim?.claimedBy}`);
    }
    const { tables } = await readCatalog(destination);
    const filled = tables.some(({ rows }) => rows > 0);
    if (!filled) return ok('Claim', 'not claimed; its tables look empty, so the first run claims it');
    return wrong(
      'Claim',
      `${state === 'cloned' ? 'it is a copy of a claimed database' : 'never claimed'}, and it holds rows: if Lethe may empty its tables, run \`lethe claim\``,
    );
  });
  yield await attempted('Ledger', async () => {
    const ledger = await ledgerVersion(destination);
    const owing = ledger === 0 ? [] : await owingRuns(destination);
    if (owing.length > 0)
      return note(
        'Ledger',
        `${owing.length} run(s) still owe constraints: the next run or \`lethe restore\` puts them back`,
      );
    return ok('Ledger', ledger === 0 ? 'none yet' : `version ${ledger}`);
  });
  yield await attempted('Triggers', async () => {
    const way = await silenceFor(destination, job.destination.mode);
    return way === 'replica'
      ? ok('Triggers', 'switched off per session')
      : note(
          'Triggers',
          'disabled one by one for the load: this role may not set session_replication_role (`lethe grants`)',
        );
  });
}

async function* bothChecks(job: Job, source: Session, destination: Session): AsyncGenerator<Check> {
  yield await attempted('Two databases', async () =>
    (await sameDatabase(source, destination))
      ? wrong(
          'Two databases',
          'source and destination are one and the same: give the destination another URL',
        )
      : ok('Two databases', 'source and destination differ'),
  );
  yield await attempted('Plan', async () => {
    const { plan } = await planJob(job, source, destination);
    const refusals = plan.findings.filter(({ level }) => level === 'refusal').length;
    return refusals === 0
      ? ok('Plan', `${plan.tables.length} tables, nothing refused`)
      : wrong('Plan', `refused for ${refusals} reason(s): \`lethe plan\` lists them`);
  });
}

function version(name: string, session: Session): Check {
  const { serverVersion, user } = session;
  const text = `PostgreSQL ${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}, role ${user}${session.superuser ? ' (superuser)' : ''}`;
  if (serverVersion < OLDEST_POSTGRES) return wrong(name, `${text}: Lethe needs PostgreSQL 12 or newer`);
  return ok(name, text);
}

/** The result, or the check that failed to get it. */
async function attempt<T>(name: string, body: () => Promise<T>): Promise<T | Check> {
  try {
    return await body();
  } catch (error) {
    return wrong(
      name,
      error instanceof LetheError
        ? error.message
        : 'something unknown went wrong; LETHE_DEBUG=1 may show more',
    );
  }
}

function attempted(name: string, body: () => Promise<Check>): Promise<Check> {
  return attempt(name, body);
}

function isCheck(value: unknown): value is Check {
  return (
    typeof value === 'object' && value !== null && 'state' in value && 'message' in value && 'name' in value
  );
}

const ok = (name: string, message: string): Check => ({ name, state: 'ok', message });
const note = (name: string, message: string): Check => ({ name, state: 'note', message });
const wrong = (name: string, message: string): Check => ({ name, state: 'wrong', message });
