import type { SealingKeys } from '../../anonymize/sealing.js';
import type { ExecutionPlan, TablePlan } from '../../plan/plan.js';
import type { Epoch } from '../fence.js';

/**
 * Everything that a thread needs to load rows: plain data, so that it can be posted to it. It holds connection URLs
 * and the job key, so it stays inside the process: never in a history, a log or an error.
 */
export interface PartitionTask {
  readonly run: string;
  /** Raised with each attempt of the activity; part of the sessions' names. */
  readonly attempt: number;
  readonly source: { readonly url: string; readonly encoding?: string };
  readonly destination: { readonly url: string };
  /** The job key, 32 bytes. */
  readonly jobKey: Uint8Array;
  /** Day keys, where the job seals. */
  readonly sealing?: SealingKeys;
  readonly consistency: 'job' | 'run';
  readonly mode: 'replace' | 'upsert';
  readonly execution: ExecutionPlan;
  /** ISO 8601, UTC; what `:run_time` stands for. */
  readonly runTime: string;
  /** The source's snapshot: its generation, and exported ids of which any will do. */
  readonly snapshot: { readonly generation: number; readonly ids: readonly string[] };
  /** The tables that `work` is about. */
  readonly tables: readonly LoadTable[];
  /** Tables whose rows may be copied along, since rows of `work` need them; for quarantined rows only. Default none. */
  readonly related?: readonly LoadTable[];
  /** Partitions that were cut before, or whole tables (small ones), which are cut first. */
  readonly work:
    | { readonly kind: 'partitions'; readonly partitions: readonly number[] }
    | { readonly kind: 'tables' }
    | ({ readonly kind: 'rows' } & QuarantinedWork);
  /** Sets `session_replication_role = replica`, so that no trigger fires: where the role may. */
  readonly replicaRole: boolean;
  /** Milliseconds after which a backend of an earlier attempt that is in the way is terminated. */
  readonly staleAfterMs: number;
}

/** Rows in quarantine that a replay tries again. */
export interface QuarantinedWork {
  /** The replay's number. */
  readonly replay: number;
  /** Rises with every pass over the rows: each row is tried once in a pass. */
  readonly pass: number;
  /** Only those of these batches, and those that wait for a parent. */
  readonly batches?: readonly { readonly partition: number; readonly batch: number }[];
  /** Only those that wait for a parent, and those that the source had no more, or otherwise, when they were removed. */
  readonly waiting: boolean;
}

export interface LoadTable {
  readonly plan: TablePlan;
  readonly epoch: Epoch;
}

/** What has happened so far, told after every chunk. */
export interface LoadProgress {
  readonly partition: number;
  readonly batch: number;
  /** Rows and bytes written by this task. */
  readonly rows: number;
  readonly bytes: number;
  /** A batch has just ended. */
  readonly ended?: BatchEnd;
}

/** What a batch came to, for those who watch. */
export interface BatchEnd {
  /** `schema.table` of the source. */
  readonly table: string;
  readonly state: 'committed' | 'failed';
  readonly rows: number;
  readonly bytes: number;
  readonly quarantined: number;
  readonly seconds: number;
  /** Of these, in transformers. */
  readonly transformSeconds: number;
}

/** What the ledger says of the partitions of a task, earlier attempts included. */
export interface LoadResult {
  readonly rows: number;
  readonly bytes: number;
  readonly quarantined: number;
  /** Of quarantined rows that were tried again: those that the source has no more, and those that wait for a parent. */
  readonly gone?: number;
  readonly waiting?: number;
}
