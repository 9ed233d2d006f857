import { randomBytes, randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { PostgresVersion } from '../../embedded/postgres.js';
import { parseJob } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import { createWorker } from '../../workers/worker.js';
import { createDatabase, type TestDatabase, temporal, uniqueTaskQueue } from '../harness/servers.js';

/** Temporal, a worker in this process on queues of its own, and what to start runs with. */
export interface Stage {
  readonly client: Client;
  readonly taskQueue: string;
  stop(): Promise<void>;
}

/** A source, an empty destination and a key, referenced by environment variables of their own. */
export interface Ends {
  readonly source: TestDatabase;
  readonly destination: TestDatabase;
  /** References for the job file. */
  readonly references: { readonly source: string; readonly destination: string; readonly key: string };
  readonly key: string;
  drop(): Promise<void>;
}

export async function openStage(options: { jobsFolder?: string } = {}): Promise<Stage> {
  const { address, namespace } = await temporal();
  const taskQueue = uniqueTaskQueue('sync');
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace });
  const worker = await createWorker({
    connection: native,
    client,
    namespace,
    taskQueue,
    shutdownGraceSeconds: 1,
    ...options,
  });
  const running = worker.run();
  return {
    client,
    taskQueue,
    async stop() {
      worker.stop();
      await running;
      await native.close();
      await connection.close();
    },
  };
}

/** `schema`: a file whose tables the destination gets, without rows. */
export async function openEnds(
  version: PostgresVersion,
  sourceFile: string,
  destinationFile = sourceFile,
): Promise<Ends> {
  const [source, destination] = await Promise.all([
    createDatabase(version, sourceFile),
    createDatabase(version, destinationFile),
  ]);
  const id = randomUUID().replaceAll('-', '').toUpperCase();
  const key = randomBytes(32).toString('base64');
  const names = { source: `SOURCE_${id}`, destination: `DESTINATION_${id}`, key: `KEY_${id}` };
  process.env[names.source] = source.url;
  process.env[names.destination] = destination.url;
  process.env[names.key] = key;
  return {
    source,
    destination,
    key,
    references: {
      source: `env:${names.source}`,
      destination: `env:${names.destination}`,
      key: `env:${names.key}`,
    },
    async drop() {
      for (const name of Object.values(names)) delete process.env[name];
      await source.drop();
      await destination.drop();
    },
  };
}

/** A job file's text with its references replaced. */
export function jobText(text: string, { references }: Ends, more: Record<string, string> = {}): string {
  let out = text
    .replace(/^source:.*$/m, `source: { postgres: "${references.source}" }`)
    .replace(/^destination:.*$/m, `destination: { postgres: "${references.destination}", mode: replace }`)
    .replace(/^key:.*$/m, `key: "${references.key}"`);
  for (const [name, value] of Object.entries(more)) out = `${out}\n${name}: ${value}\n`;
  return out;
}

export function parsed(text: string): Job {
  const { job, mistakes } = parseJob(text, 'job.yaml');
  if (!job) throw new Error(JSON.stringify(mistakes));
  return job;
}
