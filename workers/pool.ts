import { fileURLToPath } from 'node:url';
import { MessageChannel } from 'node:worker_threads';
import { CancelledFailure } from '@temporalio/common';
import { Piscina } from 'piscina';
import { LetheError } from '../errors/errors.js';
import type { DocumentsProgress, DocumentsResult, DocumentsTask } from '../mongo/load/task.js';
import type { LoadProgress, LoadResult, PartitionTask } from '../postgres/load/task.js';
import type { Inspection } from '../quality/inspection.js';
import type { InspectTask } from '../quality/task.js';
import type { ThreadInput, ThreadOutput, ThreadWork, WorkKind } from './thread.js';

export interface PoolOptions {
  /** Tasks at once, each in a thread of its own. */
  readonly threads: number;
}

export interface Pool {
  /**
   * Runs a task in a thread. `progress` is called at most a few times a second. An abort closes the task's
   * connections; a thread that does not end by itself then is terminated.
   */
  load(
    task: PartitionTask,
    progress: (progress: LoadProgress) => void,
    signal: AbortSignal,
  ): Promise<LoadResult>;
  /** Loads documents in a thread; ends as `load` does. */
  loadDocuments(
    task: DocumentsTask,
    progress: (progress: DocumentsProgress) => void,
    signal: AbortSignal,
  ): Promise<DocumentsResult>;
  /** Looks at the rows of a finished run in a thread; ends as `load` does. */
  inspect(task: InspectTask, signal: AbortSignal): Promise<Inspection>;
  /** Ends the threads; tasks under way are cut off. */
  close(): Promise<void>;
}

/** Milliseconds that an aborted task has to end by itself. */
const STOP_MS = 5_000;
/**
 * Megabytes of a thread's heap. Chunks are short-lived: a small young generation keeps them in cache, and the resident
 * size of the process flat.
 */
const OLD_SPACE_MB = 512;
const YOUNG_SPACE_MB = 16;

/** Threads that load rows, so that the event loop of the Temporal worker stays free. They start when first needed. */
export function createPool({ threads }: PoolOptions): Pool {
  const piscina = new Piscina<ThreadInput, ThreadOutput>({
    filename: fileURLToPath(new URL('workers/thread.js', builtFiles())),
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 30_000,
    concurrentTasksPerWorker: 1,
    resourceLimits: { maxOldGenerationSizeMb: OLD_SPACE_MB, maxYoungGenerationSizeMb: YOUNG_SPACE_MB },
  });
  return {
    load: (task, progress, signal) => runTask(piscina, 'load', task, progress, signal),
    loadDocuments: (task, progress, signal) => runTask(piscina, 'documents', task, progress, signal),
    inspect: (task, signal) => runTask(piscina, 'inspect', task, () => undefined, signal),
    close: () => piscina.destroy(),
  };
}

async function runTask<K extends WorkKind>(
  piscina: Piscina<ThreadInput, ThreadOutput>,
  kind: K,
  task: ThreadWork[K]['task'],
  progress: (progress: ThreadWork[K]['progress']) => void,
  signal: AbortSignal,
): Promise<ThreadWork[K]['result']> {
  if (signal.aborted) throw cancelled(signal);
  const { port1, port2 } = new MessageChannel();
  const terminate = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    port1.postMessage('stop');
    timer = setTimeout(() => terminate.abort(), STOP_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  port1.on('message', progress);
  try {
    const output = (await piscina.run(
      { kind, task, port: port2 },
      { transferList: [port2], signal: terminate.signal },
    )) as ThreadOutput<K>;
    if ('result' in output) return output.result;
    if (signal.aborted) throw cancelled(signal);
    const { type, message, details } = output.failure;
    throw new LetheError(type, message, details);
  } catch (error) {
    if (error instanceof LetheError) throw error;
    if (signal.aborted) throw cancelled(signal);
    const code = (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.name : 'unknown');
    throw new LetheError(
      'Internal',
      kind !== 'inspect'
        ? `The thread that loaded rows ended (${code}). The partition goes on at its last committed batch.`
        : `The thread that checked rows ended (${code}). It begins again.`,
      { code },
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    port1.close();
  }
}

function cancelled({ reason }: AbortSignal): Error {
  if (reason instanceof CancelledFailure) return reason;
  return new LetheError('RunEnded', 'It was cancelled; what was not committed was rolled back.');
}

/** `dist/`: threads run built files, also when this one is a source file in a test. */
function builtFiles(): URL {
  return import.meta.url.includes('/dist/workers/')
    ? new URL('../', import.meta.url)
    : new URL('../dist/', import.meta.url);
}
