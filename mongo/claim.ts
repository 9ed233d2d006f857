import { randomBytes } from 'node:crypto';
import { LetheError } from '../errors/errors.js';
import { type DatabaseIdentity, type TableName, tableText } from '../plan/catalog.js';
import { isOurs } from '../plan/documents/build.js';
import type { Connection } from './connection.js';
import { isCertain, readIdentity } from './identity.js';
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

/** The databases that a job reads, and whether they are on the destination's deployment. */
export interface SourceOf {
  readonly job: string;
  readonly databases: readonly string[];
  readonly deployments: Deployments;
}

export interface WriteRequest {
  readonly job: string;
  /** Collections of the job in the destination. */
  readonly collections: readonly TableName[];
  /** The databases that are written are among those that the source is read from, if both are one deployment. */
  readonly sourceDatabases: readonly string[];
  /** Sources of known jobs that may be on the destination's deployment. */
  readonly sources?: readonly SourceOf[];
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
  const deployments = await deploymentsOf(source, destination);
  const own = { job: request.job, databases: request.sourceDatabases, deployments };
  for (const one of [own, ...(request.sources ?? [])]) refuseShared(one, written);
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

function refuseShared({ job, databases, deployments }: SourceOf, written: readonly string[]): void {
  const both = written.filter((name) => databases.includes(name));
  if (both.length === 0 || deployments === 'two') return;
  throw new LetheError(
    'DestinationIsSource',
    deployments === 'one'
      ? `Job ${job} reads from ${both.join(', ')}, which must never be written. Give the copy another database: name it in the destination's URL, or under destination.databases.`
      : `Job ${job} reads from ${both.join(', ')}, and its users may not see whether source and destination are one deployment. Grant what \`lethe grants\` prints, or give the copy another database.`,
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

/** Whether two connections lead to one deployment; `unknown` where a user may not look at what tells. */
export type Deployments = 'one' | 'two' | 'unknown';

/**
 * Compares what the deployments call themselves and, where that is not enough, leaves a mark on the destination for a
 * moment and looks whether the source shows it. Only the destination is ever written.
 */
export async function deploymentsOf(source: Connection, destination: Connection): Promise<Deployments> {
  const [from, to] = [await readIdentity(source), await readIdentity(destination)];
  if (source.replicaSet !== destination.replicaSet) return 'two';
  const certain = isCertain(from.system) && isCertain(to.system);
  if (certain && from.system === to.system) return 'one';
  // One standalone server under two addresses calls itself two things: what differs is the port of a tunnel.
  if (certain && source.replicaSet !== undefined) return 'two';
  const marks = destination.database.collection<{ _id: string; at: Date }>('lethe.mark');
  const mark = randomBytes(16).toString('hex');
  try {
    await marks.insertOne({ _id: mark, at: new Date() });
    return await source.client
      .db(destination.database.databaseName)
      .collection<{ _id: string }>('lethe.mark')
      .findOne({ _id: mark })
      .then(
        (found) => (found ? 'one' : 'two'),
        () => 'unknown',
      );
  } finally {
    await marks.drop().catch(() => false);
  }
}
