import { randomBytes } from 'node:crypto';
import { LetheError } from '../errors/errors.js';
import { type DatabaseIdentity, type TableName, tableText } from '../plan/catalog.js';
import { isOurs } from '../plan/documents/build.js';
import type { Connection } from './connection.js';
import { readIdentity } from './identity.js';
import { LEDGER_VERSION, ledgerOf, prepareLedger } from './ledger/store.js';

export interface Claim {
  readonly claimedBy: string;
  /** ISO 8601, UTC. */
  readonly claimedAt: string;
  /** Jobs that may write; undefined: any. */
  readonly jobs: readonly string[] | undefined;
  readonly nonce: string;
}

export interface DestinationState {
  readonly identity: DatabaseIdentity;
  /**
   * `none`: nobody claimed it. `cloned`: it carries the claim of another database, of which it is a copy. `claimed`:
   * the claim was made here.
   */
  readonly state: 'none' | 'cloned' | 'claimed';
  readonly claim?: Claim;
}

/** Who may write this database. Reads only. */
export async function destinationState(connection: Connection): Promise<DestinationState> {
  const identity = await readIdentity(connection);
  const found = await ledgerOf(connection).claim.findOne({ _id: 'claim' });
  if (!found) return { identity, state: 'none' };
  const own = found.system === identity.system && found.database === identity.name;
  const claim: Claim = {
    claimedBy: found.claimedBy,
    claimedAt: found.claimedAt.toISOString(),
    jobs: found.jobs ?? undefined,
    nonce: found.nonce,
  };
  return { identity, state: own ? 'claimed' : 'cloned', claim };
}

/** Makes a database writable for Lethe, in place of any earlier claim, also of one that came with a copy. */
export async function claimDestination(
  connection: Connection,
  options: { readonly by: string; readonly jobs?: readonly string[] },
): Promise<void> {
  const identity = await readIdentity(connection);
  const ledger = ledgerOf(connection);
  await prepareLedger(ledger);
  await ledger.claim.updateOne(
    { _id: 'claim' },
    {
      $set: {
        version: LEDGER_VERSION,
        system: identity.system,
        database: identity.name,
        nonce: randomBytes(16).toString('hex'),
        claimedBy: options.by,
        claimedAt: new Date(),
        jobs: options.jobs ? [...options.jobs] : null,
      },
    },
    { upsert: true },
  );
}

export interface WriteRequest {
  readonly job: string;
  /** Collections of the job in the destination. */
  readonly collections: readonly TableName[];
  /** The databases that are written are among those that the source is read from, if both are one deployment. */
  readonly sourceDatabases: readonly string[];
  /** Whether this destination is on the deployment of a known job's source, with the databases that job reads. */
  readonly sources?: readonly { readonly job: string; readonly databases: readonly string[] }[];
}

/**
 * Opens a destination for writing, or refuses. A destination whose collections of the job are all empty is claimed for
 * the job on the spot; anything else needs a human's `lethe claim`.
 *
 * @throws LetheError `DestinationIsSource` when it is the job's source, or that of any known job;
 *   `DestinationUnclaimed` when it holds documents and nobody claimed it, or it is a copy of a claimed database.
 */
export async function openForWriting(
  source: Connection,
  destination: Connection,
  request: WriteRequest,
): Promise<void> {
  const written = [
    ...new Set([destination.database.databaseName, ...request.collections.map(({ schema }) => schema)]),
  ];
  const { state, claim } = await destinationState(destination);
  if (await sameDeployment(source, destination)) {
    refuseShared(request.job, written, request.sourceDatabases);
  }
  for (const { job, databases } of request.sources ?? []) refuseShared(job, written, databases);
  if (state === 'claimed') {
    if (!claim?.jobs || claim.jobs.includes(request.job)) return prepareLedger(ledgerOf(destination));
    throw new LetheError(
      'DestinationUnclaimed',
      `${destination.database.databaseName} is claimed for ${claim.jobs.join(', ')}, not for ${request.job}. Allow it with \`lethe claim DEST --job ${request.job}\`.`,
    );
  }
  if (state === 'cloned') {
    throw new LetheError(
      'DestinationUnclaimed',
      `${destination.database.databaseName} carries the claim of another database, of which it is a copy. If Lethe may write this one, say so with \`lethe claim DEST\`.`,
    );
  }
  for (const collection of request.collections) {
    if (isOurs(collection) || (await isEmpty(destination, collection))) continue;
    throw new LetheError(
      'DestinationUnclaimed',
      `${tableText(collection)} holds documents and nobody allowed Lethe to write there. If it may, say so once: \`lethe claim DEST\`.`,
    );
  }
  await claimDestination(destination, { by: `job ${request.job}` });
}

function refuseShared(job: string, written: readonly string[], read: readonly string[]): void {
  const both = written.filter((name) => read.includes(name));
  if (both.length === 0) return;
  throw new LetheError(
    'DestinationIsSource',
    `Job ${job} reads from ${both.join(', ')}, which must never be written. Give the copy another database: name it in the destination's URL, or under destination.databases.`,
  );
}

async function isEmpty({ client }: Connection, { schema, name }: TableName): Promise<boolean> {
  return (
    (await client
      .db(schema)
      .collection(name)
      .findOne({}, { projection: { _id: 1 } })) === null
  );
}

/**
 * Whether two connections lead to one deployment: the marks of the server where it has any, else whether a mark that is
 * left on one side for a moment shows on the other. Only the destination is ever written.
 */
export async function sameDeployment(source: Connection, destination: Connection): Promise<boolean> {
  const [from, to] = [await readIdentity(source), await readIdentity(destination)];
  if (source.replicaSet !== destination.replicaSet) return false;
  if (from.system === to.system) return true;
  // One server under two addresses calls itself one thing; what differs is the port of a tunnel.
  const marks = destination.database.collection<{ _id: string; at: Date }>('lethe.mark');
  const mark = randomBytes(16).toString('hex');
  try {
    await marks.insertOne({ _id: mark, at: new Date() });
    const seen = source.client
      .db(destination.database.databaseName)
      .collection<{ _id: string }>('lethe.mark');
    return (await seen.findOne({ _id: mark }).catch(() => null)) !== null;
  } finally {
    await marks.drop().catch(() => false);
  }
}
