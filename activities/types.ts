import type { RunRef } from '../ledger/types.js';

/*
 * What workflows may call. Inputs and results stand in workflow histories: ids, names and counts only.
 * Two interfaces, one per task queue. Every activity first checks pins, epoch and that the root workflow is open.
 */

/** Input of `syncJob`: everything is optional for a person at the Temporal UI. */
export interface SyncJobInput {
  /** Name of a job in the worker's job folder (`LETHE_JOBS`). */
  job?: string;
  /** Or the text of a job file, as `lethe sync FILE` sends it. */
  file?: { name: string; text: string };
  /** Overlay, `--env`. */
  env?: string;
}

export interface ResolvedRun {
  ref: RunRef;
  /** Job name for search attributes. */
  job: string;
}

export interface PreparedRun {
  mode: 'replace' | 'upsert';
  tables: PreparedTable[];
  /** Layers of table ids; every layer may start when the former has ended. `replace` has one layer. */
  layers: number[][];
  concurrency: number;
  /** Plan findings that are warnings, as text. */
  warnings: string[];
}

export interface PreparedTable {
  id: number;
  name: string;
  rows: number;
  /** Small: shares an activity with its like. */
  small: boolean;
}

export interface Snapshot {
  generation: number;
}

/** One or more partitions of one or several small tables: the work of one activity. */
export interface PartitionWork {
  partitions: number[];
}

export interface PartitionResult {
  rows: number;
  bytes: number;
  batches: number;
  quarantined: number;
}

export interface TableProgress {
  id: number;
  rows: number;
  quarantined: number;
}

export interface RunVerdict {
  state: 'complete' | 'failed';
  rows: number;
  quarantined: { table: string; count: number; reason: string }[];
  checks: { name: string; ok: boolean; message: string }[];
}

/** Task queue `lethe-control`: short work, and the snapshot holders. */
export interface ControlActivities {
  /** Finds and validates the job, gives the run its id. Refuses with the list of known jobs. */
  resolveJob(input: SyncJobInput): Promise<ResolvedRun>;
  /** Catalogs, plan, pins, the ledger's run row. Idempotent by run id. */
  prepareRun(ref: RunRef, input: SyncJobInput): Promise<PreparedRun>;
  /** Holds the source's snapshot until cancelled; publishes it in the ledger; signals the root when it is there. */
  holdSnapshot(ref: RunRef, holder: number): Promise<void>;
  awaitSnapshot(ref: RunRef, after: number): Promise<Snapshot>;
  /** Epochs, restoration of what earlier runs owe, constraints away, tables emptied. */
  openDestination(ref: RunRef): Promise<void>;
  /** Cuts a table into partitions under the snapshot; idempotent. Returns partition ids that are not done. */
  cutTable(ref: RunRef, table: number): Promise<number[]>;
  /** What the ledger says is not done of a table (ids); empty when the table is complete. */
  openPartitions(ref: RunRef, table: number): Promise<number[]>;
  /** Indexes and unique constraints back, duplicates to quarantine. */
  settleTable(ref: RunRef, table: number): Promise<TableProgress>;
  /** Foreign keys back, orphans to quarantine; sequences, materialized views. */
  settleReferences(ref: RunRef): Promise<TableProgress[]>;
  validateRun(ref: RunRef): Promise<RunVerdict>;
  /** Ends the run in the ledger, signed. `cancelled` also puts back what was taken away. */
  finishRun(ref: RunRef, state: 'complete' | 'failed' | 'cancelled', error?: string): Promise<void>;
}

/** Task queue `lethe-data`: partitions, in the thread pool. */
export interface DataActivities {
  anonymizePartition(ref: RunRef, work: PartitionWork): Promise<PartitionResult>;
}
