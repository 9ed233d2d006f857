import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { type NativeConnection, Worker, type WorkflowBundle } from '@temporalio/worker';
import type { Dependencies } from '../activities/dependencies.js';
import { createControlActivities, createDataActivities } from '../activities/index.js';
import { LetheError } from '../errors/errors.js';
import { resolveReference } from '../job/references.js';
import { CONTROL_QUEUE, dataQueue } from '../workflows/queues.js';
import { createPool } from './pool.js';
import { registerSearchAttributes } from './searchAttributes.js';
import { workflowStatus } from './workflowStatus.js';

/** Options of `createWorker`. */
export interface LetheWorkerOptions {
  /** For polling. Closed by whoever opened it. */
  readonly connection: NativeConnection;
  /** For asking about runs. */
  readonly client: Client;
  readonly namespace: string;
  /** Control queue; the data queue is `<it>-data`. Default `lethe`. */
  readonly taskQueue?: string;
  /** Folder of job files that may be started by name. */
  readonly jobsFolder?: string;
  /** A retention file whose key stores may be named, beside those of the job folder. */
  readonly retentionFile?: string;
  /** Partitions at once, each in a thread of its own. Default: the cores of the machine. */
  readonly threads?: number;
  /**
   * How long partitions under way may go on after a stop was asked for, in seconds; then they are cancelled at their
   * last committed batch. Above the time of a batch. Default 30.
   */
  readonly shutdownGraceSeconds?: number;
}

export interface LetheWorker {
  /** Polls until `stop`. Rejects when polling fails for good. */
  run(): Promise<void>;
  /** Takes no new work, lets the present end within the grace time. */
  stop(): void;
  /** Both queues are polled. */
  healthy(): boolean;
}

/** A worker of both queues: workflows and short activities on the control queue, rows on the data queue. */
export async function createWorker(options: LetheWorkerOptions): Promise<LetheWorker> {
  const { connection, namespace, client } = options;
  const taskQueue = options.taskQueue ?? CONTROL_QUEUE;
  const threads = options.threads ?? Math.max(2, availableParallelism());
  const grace = options.shutdownGraceSeconds ?? 30;
  await registerSearchAttributes(client, namespace);
  const pool = createPool({ threads });
  const dependencies: Dependencies = {
    jobsFolder: options.jobsFolder,
    retentionFile: options.retentionFile,
    namespace,
    resolve: resolveReference,
    workflowStatus: (workflowId, other) => workflowStatus(client, workflowId, other ?? namespace),
    load: (task, progress, signal) => pool.load(task, progress, signal),
    loadDocuments: (task, progress, signal) => pool.loadDocuments(task, progress, signal),
    inspect: (task, signal) => pool.inspect(task, signal),
  };
  const common = {
    connection,
    namespace,
    shutdownGraceTime: `${grace} s`,
    shutdownForceTime: `${grace + 30} s`,
    // Cancellation arrives with heartbeats, which are else throttled to 0.8 of their timeout.
    maxHeartbeatThrottleInterval: '2 s',
  } as const;
  const control = await Worker.create({
    ...common,
    taskQueue,
    workflowBundle: await workflowBundle(),
    activities: createControlActivities(dependencies),
    maxConcurrentActivityTaskExecutions: 100,
    // So long a run waits for a worker that is gone before another one reads its history.
    stickyQueueScheduleToStartTimeout: '2 s',
  });
  const data = await Worker.create({
    ...common,
    taskQueue: dataQueue(taskQueue),
    activities: createDataActivities(dependencies),
    maxConcurrentActivityTaskExecutions: threads,
  });
  const workers = [control, data];
  const stop = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  return {
    stop,
    healthy: () => workers.every((worker) => worker.getState() === 'RUNNING'),
    async run() {
      try {
        await Promise.all(workers.map((worker) => worker.run().finally(stop)));
      } finally {
        await pool.close();
      }
    },
  };
}

/** The workflows as built: bundling at start would cost seconds and need the sources. */
async function workflowBundle(): Promise<WorkflowBundle> {
  const path = fileURLToPath(new URL(BUNDLE, packageRoot()));
  try {
    return { code: await readFile(path, 'utf8') };
  } catch {
    throw new LetheError('ToolMissing', `${BUNDLE} is not built. Run \`npm run build\`.`);
  }
}

const BUNDLE = 'dist/workflow-bundle.js';

/** This file is `dist/workers/worker.js` as built, and `workers/worker.ts` in tests. */
function packageRoot(): URL {
  const here = import.meta.url;
  return new URL(here.includes('/dist/workers/') ? '../../' : '../', here);
}
