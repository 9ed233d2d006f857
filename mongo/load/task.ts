import type { SealingKeys } from '../../anonymize/sealing.js';
import type { DocumentsPlan } from '../../plan/documents/types.js';
import type { ExecutionPlan, TablePlan } from '../../plan/plan.js';

/**
 * Everything that a thread needs to load documents: plain data, so that it can be posted to it. It holds connection
 * URLs and the job key, so it stays inside the process: never in a history, a log or an error.
 */
export interface DocumentsTask {
  readonly run: string;
  readonly applicationName: string;
  readonly source: { readonly url: string };
  readonly destination: { readonly url: string };
  /** The job key, 32 bytes. */
  readonly jobKey: Uint8Array;
  /** Day keys, where the job seals. */
  readonly sealing?: SealingKeys;
  readonly consistency: 'job' | 'run';
  readonly mode: 'replace' | 'upsert';
  readonly execution: ExecutionPlan;
  readonly documents: DocumentsPlan;
  /** The collections that `work` is about. */
  readonly tables: readonly TablePlan[];
  /** Partitions that were cut before, or whole collections (small ones), which are cut first. */
  readonly work:
    | { readonly kind: 'partitions'; readonly partitions: readonly number[] }
    | { readonly kind: 'tables' };
}

/** What has happened so far, told after every chunk. */
export interface DocumentsProgress {
  readonly partition: number;
  readonly batch: number;
  /** Documents and bytes written by this task. */
  readonly rows: number;
  readonly bytes: number;
  /** A batch has just ended. */
  readonly ended?: {
    /** `database.collection` of the source. */
    readonly table: string;
    readonly state: 'committed' | 'failed';
    readonly rows: number;
    readonly bytes: number;
    readonly quarantined: number;
    readonly seconds: number;
    readonly transformSeconds: number;
  };
}

/** What the ledger says of the partitions of a task, earlier attempts included. */
export interface DocumentsResult {
  readonly rows: number;
  readonly bytes: number;
  readonly quarantined: number;
}
