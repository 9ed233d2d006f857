import type { CheckResult } from '../ledger/checks.js';
import type { RunRef } from '../ledger/types.js';
import type { KeyActivities } from './keyTypes.js';
import type { SealControlActivities, SealDataActivities } from './sealTypes.js';

/*
 * What workflows may call. Inputs and results stand in workflow histories: ids, names and counts only.
 * Two interfaces, one per task queue. Every activity of a run first checks its pins and that the run is not over.
 */

/** Input of `syncJob`: everything is optional for a person at the Temporal UI. */
export interface SyncJobInput {
  /** Name of a job in the worker's job folder (`LETHE_JOBS`). */
  job?: string;
  /**
   * Or the text of a job file, as `lethe sync FILE` sends it, with that of the retention file that it names: references
   * only, no secret.
   */
  file?: { name: string; text: string; retention?: { name: string; text: string } };
  /** Name of an overlay under `environments:`, as `--env`. */
  env?: string;
  /** Accepts that columns come out differently than in earlier runs of the job, as `--accept-domains`. */
  acceptDomains?: boolean;
}

export interface ResolvedRun {
  ref: RunRef;
  mode: 'replace' | 'upsert';
}

/** Input of `replayFailedBatches`: everything is optional for a person at the Temporal UI. */
export interface ReplayInput {
  /** Lethe's id of the run, or its beginning: at least four characters. */
  run?: string;
  /** Only rows of these tables, `schema.table` of the source, and such as wait for a parent. */
  tables?: string[];
  /** Only rows of these batches, `partition/batch` as `lethe show --json` lists them, and such as wait for a parent. */
  batches?: string[];
  /** Name of a job in the worker's job folder: the run is replayed by that file as it is now. */
  job?: string;
  /** Or the text of a job file, as `lethe replay RUN --job FILE` sends it: references only, no secret. */
  file?: { name: string; text: string };
  /** Name of an overlay under `environments:`, as `--env`. */
  env?: string;
}

/** Input of the update `replay` of a run that waits for one: with nothing, it goes by the job that the run pinned. */
export type ReplayRequest = Omit<ReplayInput, 'run'>;

/** What a replay has to do. */
export interface BegunReplay {
  /** With the replay's number. */
  ref: RunRef;
  mode: 'replace' | 'upsert';
  /** The tables that have something left to do; in layers those that are loaded. */
  prepared: PreparedRun;
  /** Ids of tables that are loaded again from their start. */
  again: number[];
  /** Ids of all tables of the run: what is owed to them is settled. */
  tables: number[];
  /** Ids of those with rows to try again, in layers, parents first. */
  order: number[][];
  /** Only these batches. */
  batches?: { partition: number; batch: number }[];
}

/** A pass over the quarantined rows of one table. */
export interface ReplayPass {
  table: number;
  /** Rises with every pass: each row is tried once in it. */
  pass: number;
  /** Only rows that wait for a parent. */
  waiting: boolean;
  batches?: { partition: number; batch: number }[];
}

/** What became of the rows of a pass, and what the table still has in quarantine. */
export interface ReplayedRows {
  /** Copied. */
  rows: number;
  /** The source has them no more, or the job does not select them any more. */
  gone: number;
  quarantined: number;
  /** Of those, such as wait for a parent. */
  waiting: number;
}

export interface PreparedRun {
  tables: PreparedTable[];
  /** Layers of table ids; a layer may start when the former has ended. `replace` has one layer. */
  layers: number[][];
  /** Partitions in flight at once. */
  concurrency: number;
  /** Plan findings that are warnings, as text. */
  warnings: string[];
  /** How long the run stays open for a replay when rows are in quarantine at its end. Default 0. */
  waitSeconds?: number;
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
  /** Without their details, which the ledger has. */
  checks: CheckResult[];
}

/** How a run ended. */
export interface RunEnd {
  state: 'complete' | 'failed' | 'cancelled';
  /** Type and message of the error, unless complete. */
  error?: string;
  message?: string;
  checks?: RunVerdict['checks'];
  /** Of a replay: rows that left the quarantine. */
  replayed?: { copied: number; gone: number };
}

/** How a workflow that a run started stands: `open`, or why it is not; `unknown` when nobody could be asked. */
export interface ChildStatus {
  workflowId: string;
  status: 'open' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'missing' | 'unknown';
}

/** Task queue `lethe`: short work, the snapshot holders, indexes and checks. */
export interface ControlActivities extends KeyActivities, SealControlActivities {
  /** Finds and validates the job and gives the run its id. Refuses with the list of known jobs. */
  resolveJob(input: SyncJobInput): Promise<ResolvedRun>;
  /** Catalogs, plan, pins, the ledger's run row. Idempotent by run id. */
  prepareRun(ref: RunRef, input: SyncJobInput): Promise<PreparedRun>;
  /** Finds a run in the destinations of the known jobs, or lists those that may be replayed. */
  findReplay(input: ReplayInput): Promise<ResolvedRun>;
  /** Opens a failed run again, if it may be replayed. Idempotent by workflow execution. */
  beginReplay(ref: RunRef, input: ReplayInput): Promise<BegunReplay>;
  /**
   * New epochs; triggers and rules quiet. Constraints stay in force, but for those of the tables that are `loaded`; of
   * these, such as begin `again` are emptied.
   */
  openReplay(ref: RunRef, tables: { loaded: number[]; again: number[] }): Promise<void>;
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
export interface DataActivities extends SealDataActivities {
  anonymizePartition(ref: RunRef, partition: number): Promise<PartitionResult>;
  /** Tries quarantined rows of a table again. */
  replayRows(ref: RunRef, pass: ReplayPass): Promise<ReplayedRows>;
  /** Several small tables, one after the other over the same two connections: cut and loaded. */
  anonymizeTables(ref: RunRef, tables: number[]): Promise<PartitionResult>;
}
