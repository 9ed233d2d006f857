import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import pg from 'pg';
import { progressOf, type SyncHandle, startSync } from '../../workers/runs.js';
import { createWorker } from '../../workers/worker.js';
import { captureSdkLog } from '../harness/runtime.js';
import { type TestDatabase, temporal, uniqueTaskQueue } from '../harness/servers.js';

/** A worker in this process, and a job key, for runs whose histories are looked at. */
export interface ReplayStage {
  readonly client: Client;
  readonly key: string;
  readonly taskQueue: string;
  start(input: object): Promise<SyncHandle>;
  /** Waits until the run moves rows. */
  loading(handle: SyncHandle): Promise<void>;
  stop(): Promise<void>;
}

export async function openReplayStage(): Promise<ReplayStage> {
  captureSdkLog();
  const { address, namespace } = await temporal();
  const taskQueue = uniqueTaskQueue('replay');
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace });
  const jobsFolder = 'examples/sakila';
  const worker = await createWorker({
    connection: native,
    client,
    namespace,
    taskQueue,
    jobsFolder,
    shutdownGraceSeconds: 1,
  });
  const running = worker.run();
  return {
    client,
    taskQueue,
    key: randomBytes(32).toString('base64'),
    start: (input) => startSync(client, 'replay', input, taskQueue),
    async loading(handle) {
      for (;;) {
        const progress = await progressOf(handle);
        if (progress?.phase === 'loading' && progress.tables.some(({ state }) => state === 'loading')) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async stop() {
      worker.stop();
      await running;
      await native.close();
      await connection.close();
    },
  };
}

/** The job whose runs are recorded: small batches, so that tables go in several partitions. */
export function jobOf(stage: ReplayStage, source: TestDatabase, destination: TestDatabase) {
  process.env.LETHE_REPLAY_SOURCE = source.url;
  process.env.LETHE_REPLAY_DESTINATION = destination.url;
  process.env.LETHE_REPLAY_KEY = stage.key;
  return {
    name: 'replay.yaml',
    text: `
job: replay
source: { postgres: env:LETHE_REPLAY_SOURCE }
destination: { postgres: env:LETHE_REPLAY_DESTINATION, mode: replace }
key: env:LETHE_REPLAY_KEY
unlisted: keep
batchRows: 1000
tables:
  public.owner: { columns: { id: { permute: { bits: 24 } }, email: email } }
  public.item: { columns: { note: scramble } }
`,
  };
}

/** Runs statements, one after the other, each of which may be several. */
export async function ask(database: TestDatabase, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
