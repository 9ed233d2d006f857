import { mkdtempSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LetheError } from '../errors/errors.js';
import { driver } from '../mongo/driver.js';
import { findMongo, LAUNCHER, type MongoProgram } from './mongo-binary.js';
import { freePort, type ServerProcess, startProcess, untilReady } from './process.js';

export interface MongoServer {
  readonly port: number;
  /** What it is: a real `mongod`, or the stand-in in Java, which holds its data in memory. */
  readonly kind: MongoProgram['kind'];
  /** Connection URL. Default database: `test`. */
  url(database?: string): string;
  pid(): number;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

export interface MongoOptions {
  /** Port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Gets one line before anything is downloaded. */
  readonly tell?: (line: string) => void;
  /** Of the stand-in: memory for its data, in gigabytes. Default 3. */
  readonly heapGigabytes?: number;
  /** Of the stand-in: it keeps every change in memory, for change streams. Default true. */
  readonly oplog?: boolean;
}

/**
 * Starts a MongoDB server on 127.0.0.1 with data that nobody would miss: a `mongod` as a replica set of one, or the
 * stand-in.
 *
 * @throws LetheError `ToolMissing` without a program; `Unreachable` when it does not come up in 60 s.
 */
export async function startMongo(options: MongoOptions = {}): Promise<MongoServer> {
  const program = await findMongo(options.tell);
  const home = mkdtempSync(join(tmpdir(), 'lethe-mongo-'));
  const port = options.port ?? (await freePort());
  const url = (database = 'test') =>
    `mongodb://127.0.0.1:${port}/${database}${program.kind === 'mongod' ? '?directConnection=true' : ''}`;
  const log = join(home, 'mongo.log');
  await mkdir(join(home, 'data'));
  await writeFile(join(home, 'Launcher.java'), LAUNCHER);
  const server = startProcess(...commandOf(program, home, port, options), { log, orphanSignal: 'TERM' });
  try {
    await untilReady(server, 60_000, () => probe(url('admin'), program));
  } catch (error) {
    await server.end('SIGKILL', 0);
    throw new LetheError('Unreachable', `MongoDB did not come up (${log}): ${(error as Error).message}`);
  }
  return {
    port,
    kind: program.kind,
    url,
    pid: () => server.pid,
    stop: async () => {
      await end(server);
      await rm(home, { recursive: true, force: true });
    },
  };
}

function end(server: ServerProcess): Promise<void> {
  return server.end('SIGTERM', 10_000);
}

function commandOf(
  program: MongoProgram,
  home: string,
  port: number,
  { heapGigabytes = 3, oplog = true }: MongoOptions,
): [string, string[]] {
  if (program.kind === 'mongod') {
    const args = [
      '--dbpath',
      join(home, 'data'),
      '--port',
      String(port),
      '--bind_ip',
      '127.0.0.1',
      '--replSet',
      'lethe',
    ];
    return [program.path, args];
  }
  const heap = [`-Xmx${heapGigabytes}g`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const args = [String(port), oplog ? 'oplog' : 'none'];
  return ['java', [...heap, '-cp', program.classPath, join(home, 'Launcher.java'), ...args]];
}

async function probe(url: string, program: MongoProgram): Promise<void> {
  const client = new (driver().MongoClient)(url, { serverSelectionTimeoutMS: 1_000, directConnection: true });
  try {
    await client.connect();
    const admin = client.db('admin');
    if (program.kind === 'java') return void (await admin.command({ ping: 1 }));
    const { isWritablePrimary } = await admin.command({ hello: 1 });
    if (isWritablePrimary) return;
    const { port } = new URL(url.replace('mongodb:', 'http:'));
    const members = [{ _id: 0, host: `127.0.0.1:${port}` }];
    await admin.command({ replSetInitiate: { _id: 'lethe', members } }).catch(() => undefined);
    throw new Error('it has no primary yet');
  } finally {
    await client.close();
  }
}
