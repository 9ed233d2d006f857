import type { DocumentsProgress, DocumentsTask } from '../mongo/load/task.js';
import type { LoadProgress, PartitionTask } from '../postgres/load/task.js';
import type { Inspection } from '../quality/inspection.js';
import type { InspectTask } from '../quality/task.js';
import type { ChildStatus, PartitionResult } from './types.js';

/** How a workflow stands, seen from an activity. `unknown`: its cluster cannot be asked. */
export type WorkflowStatus = ChildStatus['status'];

/** What activities get from the worker that runs them. */
export interface Dependencies {
  /** Folder with job files, for runs that are started by a job's name. */
  readonly jobsFolder?: string;
  /** A retention file beside those of the job folder. */
  readonly retentionFile?: string;
  readonly namespace: string;
  /** Asks Temporal about a workflow; of another namespace or cluster the answer may be `unknown`. */
  workflowStatus(workflowId: string, namespace?: string): Promise<WorkflowStatus>;
  /** Turns a reference (`env:`, `file:`, `exec:`) into its value. */
  resolve(reference: string): Promise<string>;
  /** Runs partitions in a thread of the pool; `progress` is called after chunks and batches. */
  load(
    task: PartitionTask,
    progress: (progress: LoadProgress) => void,
    signal: AbortSignal,
  ): Promise<PartitionResult>;
  /** Loads documents of MongoDB in a thread of the pool, as `load` does rows. */
  loadDocuments(
    task: DocumentsTask,
    progress: (progress: DocumentsProgress) => void,
    signal: AbortSignal,
  ): Promise<PartitionResult>;
  /** Looks at the rows of a finished run in a thread of the pool. */
  inspect(task: InspectTask, signal: AbortSignal): Promise<Inspection>;
}
