import type { Plan } from '../plan/plan.js';

/**
 * A run: planned → loading → settling → validating → complete | failed | cancelled; any open state → superseded, when
 * a later run takes over. `failed` with quarantined rows or owed constraints may be replayed, and ends `complete`.
 */
export type RunState =
  | 'planned'
  | 'loading'
  | 'settling'
  | 'validating'
  | 'complete'
  | 'failed'
  | 'cancelled'
  | 'superseded';

/** A batch: claimed → committed, or claimed → failed → committed. `committed` is final. */
export type BatchState = 'claimed' | 'committed' | 'failed';

/** How any activity finds its run: ids and references only, so it may stand in a workflow history. */
export interface RunRef {
  /** What both ends speak; absent: PostgreSQL. */
  readonly engine?: 'mongo';
  /** Lethe's run id, UUIDv7. */
  readonly run: string;
  readonly job: string;
  /** Reference to the destination's URL, `env:STAGING_URL`: the ledger is there. */
  readonly destination: string;
  /** Reference to the job key. */
  readonly key: string;
  /** Number of the replay, from 1; absent in the run as it was started. */
  readonly replay?: number;
}

/** Everything that must not change while a run lasts; each activity checks it first. */
export interface Pins {
  /** First 8 bytes, hex, of HKDF(job key, `lethe/1/check`). */
  readonly keyCheck: string;
  readonly plan: Plan;
  /** Where rows come from: a reference, and the encoding that a SQL_ASCII source was declared to have. */
  readonly source: { readonly url: string; readonly encoding?: string };
  /** How long the source's snapshot may be held. Seconds. */
  readonly snapshot: { readonly maxAgeSeconds: number; readonly maxPauseSeconds: number };
  /** The job file's text that the run started with, overlays applied: references, no secrets. */
  readonly jobText: string;
  /** ISO 8601, UTC; what `:run_time` stands for. */
  readonly runTime: string;
  /** The retention file that sealing goes by, where the job seals: references, no secrets. `hash`: SHA-256, hex. */
  readonly retention?: { readonly name: string; readonly text: string; readonly hash: string };
}

export interface RunRow {
  readonly run: string;
  readonly job: string;
  readonly mode: 'replace' | 'upsert';
  readonly state: RunState;
  readonly namespace: string;
  readonly workflowId: string;
  readonly startedAt: string;
  readonly seenAt: string;
  /** Seconds since `seenAt`, by the database's clock. */
  readonly silentSeconds: number;
  readonly endedAt?: string;
  /** Summary written at the end: counts, checks, error. No values. */
  readonly report?: unknown;
}

/**
 * Half-open range of one read unit. `from` included, `to` excluded; null is open-ended. Key ranges hold one text per
 * key column and are encrypted before they reach the ledger; block ranges hold block numbers.
 */
export interface Bounds {
  /** Index into `TablePlan.units`. */
  readonly unit: number;
  readonly from: readonly string[] | null;
  readonly to: readonly string[] | null;
}

export interface PartitionRow {
  /** Run-wide integer. */
  readonly partition: number;
  readonly table: number;
  readonly bounds: Bounds;
  /** Generation of the snapshot under which it was cut. */
  readonly generation: number;
  readonly done: boolean;
}

export interface BatchRow {
  readonly partition: number;
  /** 0, 1, … inside the partition. */
  readonly batch: number;
  readonly table: number;
  readonly state: BatchState;
  readonly bounds: Bounds;
  readonly attempt: number;
  readonly rows: number;
  readonly quarantined: number;
  /** Rows per rule name. */
  readonly rules: Readonly<Record<string, number>>;
  /** SHA-256, hex. */
  readonly sourceDigest: string;
  readonly outputDigest: string;
  readonly error?: string;
}

/** Why a row is not in the destination. Never a value; the key is encrypted. */
export interface QuarantineRow {
  readonly table: number;
  readonly partition: number;
  readonly batch: number;
  /** AEAD under the job key, base64. */
  readonly key: string;
  readonly reason: QuarantineReason;
  readonly waitsForParent: boolean;
}

export interface QuarantineReason {
  /** SQLSTATE, or `transformer`. */
  readonly code: string;
  readonly constraint?: string;
  readonly column?: string;
  readonly rule?: string;
  readonly message: string;
}

/** A replay as it begins. */
export interface NewReplay {
  readonly run: string;
  readonly namespace: string;
  readonly workflowId: string;
  /** First execution of the workflow: a retry has the same. */
  readonly execution: string;
  /** What it works by: the run's plan, with what a corrected job changed. */
  readonly plan: Plan;
  readonly jobText: string;
}

/** Which runs of a job stay in its ledger. */
export interface PruneOptions {
  readonly job: string;
  /** Runs that ended longer ago go. */
  readonly keepSeconds?: number;
  /** So many of the newest stay, whatever their age. */
  readonly keepRuns?: number;
}
