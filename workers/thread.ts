import type { MessagePort } from 'node:worker_threads';
import type { ErrorType } from '../errors/errors.js';
import type { DocumentsProgress, DocumentsResult, DocumentsTask } from '../mongo/load/task.js';
import { sanitize } from '../postgres/errors.js';
import { loadPartitions } from '../postgres/load/load.js';
import type { LoadProgress, LoadResult, PartitionTask } from '../postgres/load/task.js';
import type { Inspection, InspectProgress } from '../quality/inspection.js';
import { type InspectTask, inspectRun } from '../quality/task.js';

/** Work of a thread, with what it gives and tells: rows or documents to load, or a finished run to look at. */
export interface ThreadWork {
  readonly load: { task: PartitionTask; progress: LoadProgress; result: LoadResult };
  readonly documents: { task: DocumentsTask; progress: DocumentsProgress; result: DocumentsResult };
  readonly inspect: { task: InspectTask; progress: InspectProgress; result: Inspection };
}

export type WorkKind = keyof ThreadWork;

/** What the pool sends to a thread. */
export interface ThreadInput<K extends WorkKind = WorkKind> {
  readonly kind: K;
  readonly task: ThreadWork[K]['task'];
  /** Progress goes out, one message (to stop) comes in. */
  readonly port: MessagePort;
}

/** Classes do not survive the way between threads, so a failure travels as what it is made of. */
export type ThreadOutput<K extends WorkKind = WorkKind> =
  | { readonly result: ThreadWork[K]['result'] }
  | { readonly failure: { type: ErrorType; message: string; details: Readonly<Record<string, unknown>> } };

/**
 * Progress is told at most this often, in milliseconds, but for the end of a batch: each message wakes the thread of the
 * Temporal worker.
 */
const PROGRESS_MS = 200;

/** Entry of a pool thread: a task goes on in this one thread from its beginning to its end. */
export default async function run({ kind, task, port }: ThreadInput): Promise<ThreadOutput> {
  const stop = new AbortController();
  port.once('message', () => stop.abort());
  let told = 0;
  const report = (progress: LoadProgress | DocumentsProgress | InspectProgress) => {
    const now = Date.now();
    if (now - told < PROGRESS_MS && !('ended' in progress)) return;
    told = now;
    port.postMessage(progress);
  };
  try {
    if (kind === 'inspect') return { result: await inspectRun(task as InspectTask, report, stop.signal) };
    // Loaded when it is needed: most workers never speak to MongoDB.
    if (kind === 'documents') {
      const { loadDocuments } = await import('../mongo/load/load.js');
      return { result: await loadDocuments(task as DocumentsTask, report, stop.signal) };
    }
    return { result: await loadPartitions(task as PartitionTask, report, stop.signal) };
  } catch (error) {
    const { type, message, details } = sanitize(error, kind === 'inspect' ? 'checking rows' : 'loading rows');
    return { failure: { type, message, details } };
  } finally {
    port.close();
  }
}
