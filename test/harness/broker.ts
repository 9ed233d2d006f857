import { readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { type MongoServer, startMongo } from '../../embedded/mongo.js';
import { type PostgresServer, startPostgres, THROWAWAY } from '../../embedded/postgres.js';
import type { PostgresVersion } from '../../embedded/postgres-binary.js';
import { startTemporal, type TemporalServer } from '../../embedded/temporal.js';
import { memoryFolder } from './memory.js';

/**
 * Runs beside the tests (in vitest's main process) and starts each server when the first test asks for it, so that
 * a run of one file starts only what that file uses, and all files share one server of a kind.
 */
export interface Broker {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startBroker(): Promise<Broker> {
  const started = new Map<string, Promise<unknown>>();
  const once = <T>(name: string, start: () => Promise<T>): Promise<T> => {
    const running = started.get(name) ?? start();
    started.set(name, running);
    return running as Promise<T>;
  };
  const postgres = (version: PostgresVersion) => once(`postgres/${version}`, () => startThrowaway(version));
  const temporal = () => once('temporal', () => startTemporal());

  // A server of somebody else's is used, and left running.
  const mongo = async (): Promise<{ url: string; kind: string }> => {
    if (process.env.MONGODB_URI) return { url: process.env.MONGODB_URI, kind: 'given' };
    const server = await once('mongo', () => startMongo());
    return { url: server.url(''), kind: server.kind };
  };

  const answer = async (request: URL): Promise<unknown> => {
    const [, what, version] = request.pathname.split('/');
    if (what === 'temporal') {
      const { address, uiUrl, namespace } = await temporal();
      return { address, uiUrl, namespace };
    }
    if (what === 'mongo') return mongo();
    const server = await postgres(Number(version) as PostgresVersion);
    const file = request.searchParams.get('file');
    if (!file) return { url: server.url() };
    return { template: await once(`template/${version}/${file}`, () => loadTemplate(server, file)) };
  };

  const server = createServer((request, response) => {
    answer(new URL(request.url ?? '/', 'http://broker')).then(
      (body) => response.end(JSON.stringify(body)),
      (error: Error) => response.writeHead(500).end(JSON.stringify({ error: error.message })),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      await stopListening(server);
      const parts = await Promise.allSettled([...started.values()]);
      const servers = parts.flatMap((part) =>
        part.status === 'fulfilled' && isServer(part.value) ? [part.value] : [],
      );
      await Promise.all(servers.map((running) => running.stop()));
    },
  };
}

async function startThrowaway(version: PostgresVersion): Promise<PostgresServer> {
  const dataDir = memoryFolder();
  if (!dataDir) return startPostgres({ version, settings: THROWAWAY });
  const server = await startPostgres({ version, dataDir, settings: { ...THROWAWAY, max_wal_size: '512MB' } });
  return {
    ...server,
    stop: async () => {
      await server.kill();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

let templates = 0;

/** Loads an SQL file into a database of its own, from which tests are served copies. */
async function loadTemplate(server: PostgresServer, file: string): Promise<string> {
  templates += 1;
  const name = `template_${templates}`;
  await query(server.url(), `CREATE DATABASE ${name}`);
  await query(server.url(name), await readFile(file, 'utf8'));
  await query(server.url(name), 'ANALYZE');
  return name;
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function isServer(part: unknown): part is PostgresServer | MongoServer | TemporalServer {
  return typeof part === 'object' && part !== null && 'stop' in part;
}

function stopListening(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
