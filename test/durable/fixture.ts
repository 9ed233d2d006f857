import { randomBytes, randomUUID } from 'node:crypto';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection } from '@temporalio/worker';
import type { PostgresVersion } from '../../embedded/postgres-binary.js';
import { parseJob } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import { type Session, withSession } from '../../postgres/session.js';
import { type SyncHandle, startSync } from '../../workers/runs.js';
import { createWorker, type LetheWorker, type LetheWorkerOptions } from '../../workers/worker.js';
import { RUN_ATTRIBUTE } from '../../workflows/attributes.js';
import type { SyncJobWorkflowInput } from '../../workflows/syncJob.js';
import { ask, until } from '../harness/ask.js';
import { captureSdkLog, forgetSdkLog } from '../harness/runtime.js';
import { createDatabase, type TestDatabase, temporal, uniqueTaskQueue } from '../harness/servers.js';
import { CRM_RULES, crmFiles } from './crm.js';

export { ask, until };

/** Temporal, queues of its own, and what to start runs with. */
export interface Stage {
  readonly client: Client;
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue: string;
  /** Starts a worker in this process; it ends with the stage. */
  addWorker(options?: Partial<LetheWorkerOptions>): Promise<LetheWorker>;
  start(job: string, input: SyncJobWorkflowInput): Promise<SyncHandle>;
  stop(): Promise<void>;
}

/** A source, an empty destination and a key, referenced by environment variables of their own. */
export interface Ends {
  readonly source: TestDatabase;
  readonly destination: TestDatabase;
  /** References for the job file. */
  readonly references: { readonly source: string; readonly destination: string; readonly key: string };
  /** 32 bytes, base64. */
  readonly key: string;
  /** The variables behind the references, for worker processes. */
  readonly env: Readonly<Record<string, string>>;
  drop(): Promise<void>;
}

export interface StageOptions extends Partial<LetheWorkerOptions> {
  /** Of a Temporal server of the test's own. Default: the shared one. */
  readonly address?: string;
  /** Default true. */
  readonly worker?: boolean;
}

/** That are open in this process. */
let stages = 0;

export async function openStage({
  address: own,
  worker = true,
  ...options
}: StageOptions = {}): Promise<Stage> {
  captureSdkLog();
  if (stages === 0) forgetSdkLog();
  const { address, namespace } = own ? { address: own, namespace: 'default' } : await temporal();
  const taskQueue = options.taskQueue ?? uniqueTaskQueue('sync');
  const connection = await Connection.connect({ address });
  const native = worker ? await NativeConnection.connect({ address }) : undefined;
  const client = new Client({ connection, namespace });
  const running: { worker: LetheWorker; ended: Promise<void> }[] = [];
  const stage: Stage = {
    client,
    address,
    namespace,
    taskQueue,
    async addWorker(more = {}) {
      const common = { connection: native!, client, namespace, taskQueue, shutdownGraceSeconds: 1 };
      const added = await createWorker({ ...common, ...options, ...more });
      const ended = added.run();
      ended.catch(() => undefined);
      running.push({ worker: added, ended });
      return added;
    },
    start: (job, input) => startSync(client, job, input, taskQueue),
    async stop() {
      stages -= 1;
      for (const one of running) one.worker.stop();
      await Promise.allSettled(running.map(({ ended }) => ended));
      await native?.close();
      await connection.close();
    },
  };
  stages += 1;
  try {
    if (worker) await stage.addWorker();
  } catch (error) {
    await stage.stop();
    throw error;
  }
  return stage;
}

/** Databases that are copies of SQL files. */
export async function openEnds(
  version: PostgresVersion,
  sourceFile: string | undefined,
  destinationFile: string | undefined = sourceFile,
  key = randomBytes(32).toString('base64'),
): Promise<Ends> {
  const [source, destination] = await Promise.all([
    createDatabase(version, sourceFile),
    createDatabase(version, destinationFile),
  ]);
  const id = randomUUID().replaceAll('-', '').toUpperCase();
  const env = { [`SOURCE_${id}`]: source.url, [`DESTINATION_${id}`]: destination.url, [`KEY_${id}`]: key };
  Object.assign(process.env, env);
  return {
    source,
    destination,
    key,
    env,
    references: { source: `env:SOURCE_${id}`, destination: `env:DESTINATION_${id}`, key: `env:KEY_${id}` },
    async drop() {
      for (const name of Object.keys(env)) delete process.env[name];
      await source.drop();
      await destination.drop();
    },
  };
}

/** The databases of `crm.ts`: a filled source, and a destination with the same tables. */
export function openCrm(key?: string): Promise<Ends> {
  const { full, schema } = crmFiles();
  return openEnds(18, full, schema, key);
}

/** The head of a job file, and what follows. */
export function jobFile(ends: Ends, rules = CRM_RULES, name = 'crm'): { name: string; text: string } {
  const { source, destination, key } = ends.references;
  const head = [
    `job: ${name}`,
    `source: { postgres: "${source}" }`,
    `destination: { postgres: "${destination}", mode: replace }`,
    `key: "${key}"`,
  ];
  return { name: 'job.yaml', text: `${head.join('\n')}\n${rules}` };
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

/** Runs `body` in a session of its own. */
export function inside<T>(
  database: { readonly url: string },
  body: (session: Session) => Promise<T>,
): Promise<T> {
  return withSession({ url: database.url, role: 'destination', applicationName: 'test' }, body);
}

/** Type and message of what a run failed with. */
export async function failureOf(handle: SyncHandle): Promise<{ type: string; message: string }> {
  try {
    const { verdict } = await handle.result();
    return { type: 'none', message: JSON.stringify(verdict) };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof ApplicationFailure) return { type: cause.type ?? '', message: cause.message };
    return { type: cause?.name ?? 'unknown', message: cause?.message ?? '' };
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Lethe's id of a run, as soon as it has one. */
export function runOf(handle: SyncHandle): Promise<string> {
  return until('the run has its id', async () => {
    const { typedSearchAttributes } = await handle.describe();
    return typedSearchAttributes.get(RUN_ATTRIBUTE);
  });
}

/** Committed batches of all runs. */
export async function committed(ends: Ends): Promise<number> {
  const [there] = await ask(ends.destination, `SELECT to_regclass('lethe.batch') IS NOT NULL AS there`);
  if (there?.there !== 't') return 0;
  const [row] = await ask(
    ends.destination,
    `SELECT count(*) AS n FROM lethe.batch WHERE state = 'committed'`,
  );
  return Number(row?.n);
}
