import type { RunRef } from '../ledger/types.js';

/*
 * What workflows may call. Inputs and results stand in workflow histories: ids, names and counts only.
 * Two interfaces, one per task queue. Every activity of a run first checks its pins and that the run is not over.
 */

/** Input of `syncJob`: everything is optional for a person at the Temporal UI. */
export interface SyncJobInput {
  /** Name of a job in the worker's job folder (`LETHE_JOBS`). */
  job?: string;
  /** Or the text of a job file, as `lethe sync FILE` sends it: references only, no secret. */
  file?: { name: string; text: string };
  /** Name of an overlay under `environments:`, as `--env`. */
  env?: string;
  /** Accepts that columns come out differently than in earlier runs of the job, as `--accept-domains`. */
  acceptDomains?: boolean;
}

export interface ResolvedRun {
  ref: RunRef;
  mode: 'replace' | 'upsert';
}

export interface PreparedRun {
  tables: PreparedTable[];
  /** Layers of table ids; a layer may start when the former has ended. `replace` has one layer. */
  layers: number[][];
  /** Partitions in flight at once. */
  concurrency: number;
  /** Plan findings that are warnings, as text. */
  warnings: string[];
}

export interface PreparedTable {
  id: number;
  name: string;
  /** As estimated. */
  rows: number;
  /** Shares an activity with its like: a round trip costs more than its copy. */
  small: boolean;
}

export interface TableResult {
  id: number;
  rows: number;
  quarantined: number;
}

export interface PartitionResult {
  rows: number;
  bytes: number;
  quarantined: number;
}

export interface RunVerdict {
  ok: boolean;
  rows: number;
  quarantined: { table: string; count: number; reason: string }[];
  checks: { name: string; ok: boolean; message: string }[];
}

/** How a run ended. */
export interface RunEnd {
  state: 'complete' | 'failed' | 'cancelled';
  /** Type and message of the error, unless complete. */
  error?: string;
  message?: string;
  checks?: RunVerdict['checks'];
}

/** How a workflow that a run started stands: `open`, or why it is not; `unknown` when nobody could be asked. */
export interface ChildStatus {
  workflowId: string;
  status: 'open' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'missing' | 'unknown';
}

/** Task queue `lethe`: short work, the snapshot holders, indexes and checks. */
export interface ControlActivities {
  /** Finds and validates the job and gives the run its id. Refuses with the list of known jobs. */
  resolveJob(input: SyncJobInput): Promise<ResolvedRun>;
  /** Catalogs, plan, pins, the ledger's run row. Idempotent by run id. */
  prepareRun(ref: RunRef, input: SyncJobInput): Promise<PreparedRun>;
  /** Holds the source's snapshot until cancelled and publishes it in the ledger. */
  holdSnapshot(ref: RunRef, holder: number): Promise<void>;
  /** Waits until a snapshot is published. */
  awaitSnapshot(ref: RunRef): Promise<void>;
  /** Epochs, restoration of what earlier runs owe, constraints away, tables emptied. */
  openDestination(ref: RunRef): Promise<void>;
  /** Cuts a table into partitions under the snapshot, once; returns those that are not done, by id. */
  cutTable(ref: RunRef, table: number): Promise<number[]>;
  /** Indexes and unique constraints back, duplicates to quarantine; returns the tables' counts. */
  settleTables(ref: RunRef, tables: number[]): Promise<TableResult[]>;
  /** Foreign keys back, orphans to quarantine; sequences, materialized views. Returns warnings. */
  settleReferences(ref: RunRef): Promise<string[]>;
  validateRun(ref: RunRef): Promise<RunVerdict>;
  /** Puts back whatever is still away and ends the run in the ledger, signed. Idempotent. */
  finishRun(ref: RunRef, end: RunEnd): Promise<void>;
  /** How the run's own workflows stand; their parents may have continued as new, so they are asked for by id. */
  childStatus(workflowIds: string[]): Promise<ChildStatus[]>;
}

/** Task queue `lethe-data`: rows, in the thread pool. */
export interface DataActivities {
  anonymizePartition(ref: RunRef, partition: number): Promise<PartitionResult>;
  /** Several small tables, one after the other over the same two connections: cut and loaded. */
  anonymizeTables(ref: RunRef, tables: number[]): Promise<PartitionResult>;
}
