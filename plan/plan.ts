import type { ColumnType, Proof, TransformerSpec } from '../anonymize/transformer.js';
import type { Job, Position } from '../job/types.js';
import type { DatabaseIdentity, TableName } from './catalog.js';
import type { CollectionPlan, DocumentsPlan } from './documents/types.js';

/**
 * What a run will do, decided before anything is written. Plain JSON: it is pinned in the run's ledger row, and every
 * activity works from that copy. It holds names, expressions of the job file and estimates; no value of any row.
 */
export interface Plan {
  readonly version: 1;
  readonly job: string;
  readonly mode: 'replace' | 'upsert';
  readonly consistency: 'job' | 'run';
  readonly engine: 'postgres' | 'mongo';
  readonly source: DatabaseIdentity;
  readonly destination: DatabaseIdentity;
  /** Ascending `id`. */
  readonly tables: readonly TablePlan[];
  readonly domains: readonly DomainPlan[];
  /** Table ids in layers: a table references only tables of earlier layers, of its own cycle, or itself. */
  readonly order: readonly (readonly number[])[];
  /** Groups of table ids that reference each other in a cycle (self references are not listed). */
  readonly cycles: readonly (readonly number[])[];
  readonly findings: readonly Finding[];
  /** SHA-256, hex, of the rules as resolved: every spec, version and value-list hash. Pinned. */
  readonly ruleSet: string;
  /** Transformer versions and value-list hashes behind `ruleSet`, for naming what differs. */
  readonly versions: Readonly<Record<string, string>>;
  /** Sequences that no column of the job uses: the destination's is set to the source's value. */
  readonly freeSequences: readonly { readonly source: TableName; readonly destination: TableName }[];
  /** How the run executes, as the job says; pinned with the plan. */
  readonly execution: ExecutionPlan;
  /** MongoDB: what is not about one collection. */
  readonly documents?: DocumentsPlan;
}

export interface ExecutionPlan {
  /** Rows of a batch, about. */
  readonly batchRows: number;
  /** Partitions in flight at once, over all tables. */
  readonly concurrency: number;
  readonly onFailure: Job['onFailure'];
  readonly evidence: Job['evidence'];
  readonly whenBusy: Job['whenBusy'];
  /** What the run is checked for at its end; absent in runs of before there was a choice. */
  readonly checks?: Job['checks'];
  /** What stays of earlier runs when this one is complete; absent in runs of before there was a choice. */
  readonly ledger?: Job['ledger'];
}

export interface Finding {
  /** `refusal` stops the run; `warning` is shown; `note` explains. */
  readonly level: 'refusal' | 'warning' | 'note';
  /** Stable, kebab-case: `undecided-column`, `unproved-unique`, `domain-disagrees`, … */
  readonly code: string;
  readonly table?: string;
  readonly column?: string;
  /** What is so, why, and the way out. */
  readonly message: string;
  /** Of the entry in the job file that it is about, if there is one. */
  readonly position?: Position;
}

export interface TablePlan {
  /** 1, 2, … in byte order of the source name: stable inside a run, used in ids instead of names. */
  readonly id: number;
  readonly source: TableName;
  readonly destination: TableName;
  readonly destinationOid: number;
  /** Declared partition root in the destination: COPY goes through it, its indexes and foreign keys are its leaves' too. */
  readonly destinationKind: 'table' | 'partitioned';
  /** Relations to read one after the other: the table (ONLY), or the leaves of a partition root. */
  readonly units: readonly ReadUnit[];
  /** How partitions and batches are bounded. `ctid`: block ranges; such a table restarts whole if the snapshot is lost. */
  readonly key: { readonly kind: 'columns'; readonly columns: readonly string[] } | { readonly kind: 'ctid' };
  /** SQL condition of the job file, with `:run_time` in it. */
  readonly where?: string;
  /** Rows without a parent that passes all of these are left out (`orphans: drop`), under the same snapshot. */
  readonly semiJoins: readonly SemiJoin[];
  /** Columns that are written, in the order of COPY on both sides. Generated ones are left out. */
  readonly columns: readonly ColumnPlan[];
  /** `when` conditions of the rules, SQL; evaluated at the source as `(expr) IS TRUE`; columns refer to them by index. */
  readonly conditions: readonly string[];
  /** Conflict key of `upsert`. */
  readonly conflictKey?: readonly string[];
  /** `upsert`: some column is GENERATED ALWAYS AS IDENTITY, so INSERT must say OVERRIDING SYSTEM VALUE (COPY need not). */
  readonly overridingSystemValue: boolean;
  readonly deleteMissing: boolean;
  readonly rows: number;
  readonly bytes: number;
  /** Of the source table, as in the catalog; compared after every read. */
  readonly fingerprint: string;
  readonly destinationFingerprint: string;
  /** The sequences to set after the load, and the smallest value they may hand out next, or `max` of the column + 1. */
  readonly sequences: readonly SequencePlan[];
  /** MongoDB: what becomes of the collection's documents; `columns` names its paths for people. */
  readonly collection?: CollectionPlan;
}

/**
 * A row passes when one of `columns` is NULL (the reference is not checked then), or when a row of `parent` exists
 * whose `parentColumns` equal `columns` pairwise, for which `where` is true and which passes `semiJoins` itself.
 */
export interface SemiJoin {
  readonly columns: readonly string[];
  /** In the source. */
  readonly parent: TableName;
  readonly parentColumns: readonly string[];
  /** The parent's `where` in the job file, with `:run_time` in it. */
  readonly where?: string;
  readonly semiJoins: readonly SemiJoin[];
}

export interface ReadUnit extends TableName {
  readonly oid: number;
  readonly pages: number;
  readonly rows: number;
  readonly bytes: number;
  /** `pg_relation_filenode` as in the catalog; compared after every read. */
  readonly filenode?: string;
}

/** Where several columns draw from one sequence, each has an entry, and the greatest value wins. */
export interface SequencePlan {
  /** In the destination. */
  readonly sequence: TableName;
  readonly column: string;
  /** `restart`: at this value (a permuted range's end + 1); `max`: after the largest value loaded; `copy`: the source's. */
  readonly action:
    | { readonly kind: 'restart'; readonly value: string }
    | { readonly kind: 'max' }
    | { readonly kind: 'copy' };
}

export interface ColumnPlan {
  readonly name: string;
  readonly destination: string;
  readonly type: ColumnType;
  /** First match wins; the last branch has no `when`. One branch without `when` is the common case. */
  readonly branches: readonly Branch[];
  /** Name of the domain whose key is used. A column without foreign keys is a domain of its own. */
  readonly domain: string;
  /** What its transformers are compiled for: the narrowest type of the domain's members. */
  readonly compileType: ColumnType;
  /** What its transformers read besides: columns of this table by name, and `key` for the table's key columns. */
  readonly needs: readonly string[];
}

export interface Branch {
  /** The rule's name, or `columns` for an explicit column, `foreign key` for an inherited one, `unlisted`. */
  readonly rule: string;
  /** Index into the table's `conditions`. */
  readonly when?: number;
  readonly apply: TransformerSpec;
  /** For rows where the condition is not true; without it they go on to the next branch. */
  readonly otherwise?: TransformerSpec;
}

export interface DomainPlan {
  /** Feeds the sub-key. */
  readonly name: string;
  /** `schema.table.column`, sorted. */
  readonly members: readonly string[];
  readonly transformer: TransformerSpec;
  /** The narrowest type of the members: what the transformer is compiled for, in every member. */
  readonly type: ColumnType;
  readonly proof: Proof;
}
