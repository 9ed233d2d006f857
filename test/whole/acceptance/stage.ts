import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Client, Connection } from '@temporalio/client';
import { parse, stringify } from 'yaml';
import type { LetheError } from '../../../errors/errors.js';
import { runError, startSync } from '../../../workers/runs.js';
import type { SyncResult } from '../../../workflows/syncJob.js';
import { temporal, uniqueTaskQueue } from '../../harness/servers.js';
import type { Ends } from './databases.js';

/** A worker in a process of its own, as a user has it, and a client to start runs with. */
export interface Stage {
  readonly client: Client;
  readonly taskQueue: string;
  /** Everything that the worker has printed. */
  logs(): string;
  stop(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const { address, namespace } = await temporal();
  const taskQueue = uniqueTaskQueue('acceptance');
  const worker = spawn(
    process.execPath,
    ['dist/cli/main.js', 'worker', '--task-queue', taskQueue, '--grace', '1'],
    {
      env: { ...process.env, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const lines: string[] = [];
  await isReady(worker, lines);
  const connection = await Connection.connect({ address });
  return {
    client: new Client({ connection, namespace }),
    taskQueue,
    logs: () => lines.join('\n'),
    async stop() {
      await connection.close();
      const gone = new Promise((resolve) => worker.once('exit', resolve));
      if (worker.exitCode !== null) return;
      worker.kill('SIGTERM');
      const force = setTimeout(() => worker.kill('SIGKILL'), 15_000);
      await gone;
      clearTimeout(force);
    },
  };
}

function isReady(worker: ChildProcess, lines: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    for (const stream of [worker.stdout!, worker.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        if (line.startsWith('Worker on ')) resolve();
      });
    }
    worker.once('exit', (code) =>
      reject(new Error(`The worker ended with ${code}:\n${lines.slice(-20).join('\n')}`)),
    );
  });
}

/** A job file over these databases; `more` replaces or adds top-level keys. */
export function jobText(job: string | object, { references }: Ends, more: object = {}): string {
  const file = (typeof job === 'string' ? parse(job) : job) as Record<string, object>;
  const over = more as Record<string, object>;
  return stringify({
    ...file,
    ...over,
    source: { ...file.source, ...over.source, postgres: references.source },
    destination: { ...file.destination, ...over.destination, postgres: references.destination },
    key: references.key,
  });
}

export interface Ended {
  /** Of the run, as in the ledger; undefined when none was made. */
  readonly run: string | undefined;
  readonly workflowId: string;
  readonly result: SyncResult | undefined;
  readonly error: LetheError | undefined;
}

/** A run that takes longer than this many seconds hangs. */
const LONGEST_S = 240;

/** Runs a job to its end, whatever that is. */
export async function sync(stage: Stage, text: string): Promise<Ended> {
  const name = (parse(text) as { job: string }).job;
  const handle = await startSync(
    stage.client,
    name,
    { file: { name: `${name}.yaml`, text } },
    stage.taskQueue,
  );
  let hung = '';
  const limit = setTimeout(async () => {
    const { raw } = await handle.describe();
    hung = JSON.stringify(
      raw.pendingActivities?.map((a) => [a.activityType?.name, a.attempt, a.lastFailure?.message]),
    );
    await handle.terminate('hangs');
  }, LONGEST_S * 1000);
  let result: SyncResult | undefined;
  let error: LetheError | undefined;
  try {
    result = await handle.result();
  } catch (thrown) {
    error = runError(thrown, handle.workflowId);
  } finally {
    clearTimeout(limit);
  }
  if (hung) throw new Error(`The run of ${name} hung. Waiting activities: ${hung}`);
  const { searchAttributes } = await handle.describe();
  const [run] = (searchAttributes.LetheRun ?? []) as string[];
  return { run, workflowId: handle.workflowId, result, error };
}

/** Runs a job that must end well. */
export async function syncWell(stage: Stage, text: string): Promise<SyncResult & { workflowId: string }> {
  const { result, error, workflowId } = await sync(stage, text);
  if (!result) throw error ?? new Error('no result');
  return { ...result, workflowId };
}

/** The histories of a run's workflows as JSON, every payload decoded. */
export async function histories({ client }: Stage, root: string): Promise<string> {
  const texts: string[] = [];
  const queue = [root];
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    const history = await client.workflow.getHandle(id).fetchHistory();
    for (const event of history.events ?? []) {
      const child = event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId;
      if (child) queue.push(child);
    }
    // Messages turn bytes into base64.
    texts.push(JSON.stringify(history, decodePayload));
  }
  return texts.join('\n');
}

function decodePayload(name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  return name === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value;
}
