import type { Db, Document, MongoClient } from 'mongodb';
import { LetheError } from '../errors/errors.js';
import { driver } from './driver.js';
import { sanitize } from './errors.js';

export interface ConnectionOptions {
  /** `mongodb://…` or `mongodb+srv://…`; the database in it is the one that is meant. */
  readonly url: string;
  readonly role: 'source' | 'destination';
  /** Shown by the server in `currentOp` and its log. */
  readonly applicationName: string;
  /** Closes the connections when it aborts. */
  readonly signal?: AbortSignal;
  /** Milliseconds until a server must have been found. Default 10,000. */
  readonly timeoutMs?: number;
  /** Connections at once. Default 4. */
  readonly connections?: number;
}

/** An open connection with what is known of the server behind it. */
export interface Connection {
  readonly client: MongoClient;
  /** The database that the URL names. */
  readonly database: Db;
  /** The URL names it; else the driver took `test`. */
  readonly named: boolean;
  /** 8000 for 8.0; 0 where it does not say. */
  readonly serverVersion: number;
  /** Name of the replica set, or `sharded`; undefined on a standalone server. */
  readonly replicaSet?: string;
}

/**
 * Opens a connection for the length of `body`.
 *
 * @throws LetheError of the driver's error, whose message held values.
 */
export async function withConnection<T>(
  options: ConnectionOptions,
  body: (connection: Connection) => Promise<T>,
): Promise<T> {
  let client: MongoClient | undefined;
  const stop = () => void client?.close(true).catch(() => undefined);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    client = newClient(options);
    await client.connect();
    if (options.signal?.aborted) throw new LetheError('RunEnded', 'The work was stopped.');
    return await body(await describe(client, options.url));
  } catch (error) {
    throw sanitize(error, `${options.role} (MongoDB)`);
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await client?.close().catch(() => undefined);
  }
}

/** @throws LetheError `JobInvalid` for a URL that cannot be read; drivers throw all kinds of things then. */
function newClient(options: ConnectionOptions): MongoClient {
  try {
    return new (driver().MongoClient)(options.url, settings(options));
  } catch {
    throw new LetheError(
      'JobInvalid',
      `The ${options.role}'s connection URL cannot be read. It is mongodb://user:password@host:port/database?options, with characters such as @ : / % in user or password written as %40 %3A %2F %25, and options that the driver knows.`,
    );
  }
}

function settings({ url, role, applicationName, timeoutMs, connections }: ConnectionOptions) {
  // What a URL says counts, unless we are in a hurry.
  const timeout = (name: string) =>
    timeoutMs === undefined && new RegExp(`[?&]${name}=`, 'i').test(url)
      ? {}
      : { [name]: timeoutMs ?? 10_000 };
  return {
    appName: applicationName.slice(0, 127),
    ...timeout('serverSelectionTimeoutMS'),
    ...timeout('connectTimeoutMS'),
    maxPoolSize: connections ?? 4,
    // What the ledger says is written must survive a change of the primary.
    ...(role === 'destination' && { writeConcern: { w: 'majority' as const } }),
    // Our own retries go through the ledger.
    retryWrites: false,
  };
}

async function describe(client: MongoClient, url: string): Promise<Connection> {
  const database = client.db();
  const hello = await client
    .db('admin')
    .command({ hello: 1 })
    .catch(() => client.db('admin').command({ isMaster: 1 }));
  const build = await client
    .db('admin')
    .command({ buildInfo: 1 })
    .catch((): Document => ({}));
  const [major = 0, minor = 0] = String(build.version ?? '0.0')
    .split('.')
    .map(Number);
  const replicaSet = hello.msg === 'isdbgrid' ? 'sharded' : (hello.setName as string | undefined);
  return {
    client,
    database,
    named: databaseIn(url) !== undefined,
    serverVersion: major * 1000 + minor,
    ...(replicaSet !== undefined && { replicaSet }),
  };
}

/** The database that a connection URL names. */
export function databaseIn(url: string): string | undefined {
  const name = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]*)/.exec(url)?.[1];
  return name ? decodeURIComponent(name) : undefined;
}

/** It is a connection URL of MongoDB. */
export function isMongoUrl(url: string): boolean {
  return /^mongodb(\+srv)?:\/\//.test(url);
}
