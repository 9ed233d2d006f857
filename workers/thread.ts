import type { MessagePort } from 'node:worker_threads';
import type { ErrorType } from '../errors/errors.js';
import { sanitize } from '../postgres/errors.js';
import { loadPartitions } from '../postgres/load/load.js';
import type { LoadProgress, LoadResult, PartitionTask } from '../postgres/load/task.js';

/** What the pool sends to a thread. */
export interface ThreadInput {
  readonly task: PartitionTask;
  /** Progress goes out, one message (to stop) comes in. */
  readonly port: MessagePort;
}

/** Classes do not survive the way between threads, so a failure travels as what it is made of. */
export type ThreadOutput =
  | { readonly result: LoadResult }
  | { readonly failure: { type: ErrorType; message: string; details: Readonly<Record<string, unknown>> } };

/** Progress is told at most this often, in milliseconds: each message wakes the thread of the Temporal worker. */
const PROGRESS_MS = 200;

/** Entry of a pool thread: loads partitions, everything about them in this one thread. */
export default async function run({ task, port }: ThreadInput): Promise<ThreadOutput> {
  const stop = new AbortController();
  port.once('message', () => stop.abort());
  let told = 0;
  const report = (progress: LoadProgress) => {
    const now = Date.now();
    if (now - told < PROGRESS_MS) return;
    told = now;
    port.postMessage(progress);
  };
  try {
    return { result: await loadPartitions(task, report, stop.signal) };
  } catch (error) {
    const { type, message, details } = sanitize(error, 'loading rows');
    return { failure: { type, message, details } };
  } finally {
    port.close();
  }
}
