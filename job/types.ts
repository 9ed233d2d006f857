import type { TransformerSpec } from '../anonymize/transformer.js';
import type { RetentionFile } from './retention/types.js';

/**
 * A job after loading: validated, defaults filled in, overlays applied, specs normalized. References stay references
 * (`env:NAME`, `file:PATH`, `exec:COMMAND`); only a worker resolves them.
 */
export interface Job {
  /** What both ends speak; absent: PostgreSQL. */
  readonly engine?: 'mongo';
  /** Name: lower-case letters, digits and dashes; part of workflow ids. */
  readonly job: string;
  readonly source: SourceSettings;
  readonly destination: DestinationSettings;
  /** Reference to 32 bytes, base64. */
  readonly key: string;
  /** `job`: the same output every run; `run`: unlinkable between runs. */
  readonly consistency: 'job' | 'run';
  /** What becomes of a column that nobody decided on. */
  readonly unlisted: 'block' | 'keep' | 'null';
  readonly schedule?: { readonly cron: string; readonly timezone: string };
  /** Globs over `schema.table`. Default `*.*` without the system schemas. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly rules: readonly Rule[];
  /** By `schema.table` of the source. */
  readonly tables: Readonly<Record<string, TableRules>>;
  /** MongoDB: by `database.collection` of the source. */
  readonly collections?: Readonly<Record<string, JobCollection>>;
  /** Domain name → `schema.table.column` members. */
  readonly domains: Readonly<Record<string, readonly string[]>>;
  /** Foreign keys that the database does not declare: `{ from: [schema.table.column…], to: [...] }`. */
  readonly references: readonly VirtualReference[];
  /** Rows that cannot be written: quarantine up to a limit (rows, or a share of the table 0..1), or fail at the first. */
  readonly onFailure:
    | { readonly kind: 'fail' }
    | {
        readonly kind: 'quarantine';
        readonly rows?: number;
        readonly share?: number;
        /** How long a run with rows in quarantine waits for a replay before it fails. Default 0. */
        readonly waitSeconds?: number;
      };
  /** When another live run owns a table. */
  readonly whenBusy: 'refuse' | 'wait';
  readonly evidence: 'batch' | 'row';
  /** Rows of a batch, about. Default 50,000. */
  readonly batchRows: number;
  /** Partitions in flight at once, over all tables. Default 4. */
  readonly concurrency: number;
  readonly checks: CheckSettings;
  readonly ledger: LedgerSettings;
  /** The retention file whose policies `retain` goes by. */
  readonly retention?: JobRetention;
}

export interface JobRetention {
  /** As the job file says it: relative to the job file. */
  readonly path: string;
  readonly position: Position;
  /** What is in it; absent until it was read (`job/retention/ofJob.ts`). */
  readonly read?: RetentionText & {
    /** SHA-256 of the text, hex. */
    readonly hash: string;
    readonly file: RetentionFile;
  };
}

/** The text of a retention file: references, no secrets. `name` is for messages. */
export interface RetentionText {
  readonly name: string;
  readonly text: string;
}

/** What stays of earlier runs; everything when neither is given. */
export interface LedgerSettings {
  /** Runs that ended within so many seconds stay. */
  readonly keepSeconds?: number;
  /** So many of the newest runs stay. */
  readonly keepRuns?: number;
}

/** What a failed check means: the run fails, or it is only said. */
export type Severity = 'fail' | 'warn';

/** Rows of a sample; `all`: every row. */
export type SampleRows = number | 'all';

/** What a finished run is checked for. Plain JSON: a run pins it with its plan. */
export interface CheckSettings {
  readonly rowCounts: { readonly severity: Severity };
  /** Besides the catalog, the parents of `rows` rows of each table are looked up. */
  readonly constraints: { readonly severity: Severity; readonly rows: SampleRows };
  readonly recompute: { readonly severity: Severity | 'off'; readonly rows: SampleRows };
  readonly leaks: {
    readonly severity: Severity | 'off';
    /** Over all tables. Default 20,000, or 1 % of all rows if that is more. */
    readonly rows?: SampleRows;
    /** A value identifies when some column of the source has it in at most so many rows. */
    readonly rare: number;
    /** Shortest identifying value, in letters and digits. */
    readonly minLength: number;
  };
  /** `share` (0..1) of a kept column may look like personal data. */
  readonly residual: { readonly severity: Severity | 'off'; readonly share: number };
  readonly drift: {
    readonly severity: Severity | 'off';
    /** Of each table, on each side. */
    readonly rows: SampleRows;
    /** Largest distance of a column, 0..1. */
    readonly distance: number;
  };
  readonly kAnonymity: readonly GroupCheck[];
}

/** Every row must be like at least `k - 1` others in `columns`. */
export interface GroupCheck {
  /** `schema.table` of the source. */
  readonly table: string;
  /** Of the source. */
  readonly columns: readonly string[];
  readonly k: number;
  readonly severity: Severity;
  readonly position: Position;
}

export interface SourceSettings {
  /** Reference to a connection URL. */
  readonly url: string;
  readonly connections: number;
  readonly snapshot: { readonly maxAgeSeconds: number; readonly maxPauseSeconds: number };
  /** IANA or PostgreSQL name; required when the source is SQL_ASCII. */
  readonly encoding?: string;
}

export interface DestinationSettings {
  readonly url: string;
  readonly mode: 'replace' | 'upsert';
  readonly createSchema: boolean;
  readonly connections: number;
  /** Source schema → destination schema. */
  readonly schemas: Readonly<Record<string, string>>;
  /** `upsert`: delete rows that the source no longer has. */
  readonly deleteMissing: boolean;
}

export interface Rule {
  readonly name: string;
  readonly match: {
    readonly table?: string;
    readonly column?: string;
    /** A type name (`text`, `int8`, `date`, …: a `TypeKind`) or a glob over the database's type name. */
    readonly type?: string;
  };
  /** SQL condition over the source row. */
  readonly when?: string;
  /** For every matching column, or per column. */
  readonly apply: Apply;
  readonly otherwise?: Apply;
  readonly position: Position;
}

export type Apply =
  | { readonly kind: 'all'; readonly spec: TransformerSpec }
  | { readonly kind: 'columns'; readonly columns: Readonly<Record<string, TransformerSpec>> };

export interface TableRules {
  readonly where?: string;
  /** Left out of the run. */
  readonly skip?: boolean;
  readonly columns: Readonly<Record<string, ColumnRule>>;
  /** Destination `schema.table`. */
  readonly rename?: string;
  /** Rows whose parent is filtered away: `drop` leaves them out; without it the plan refuses. */
  readonly orphans?: 'drop';
  readonly sequence?: 'keep';
  /** Conflict key of `upsert`. */
  readonly conflictKey?: readonly string[];
  /**
   * Constraints and unique indexes of the destination, by name (a domain's check by its own name; `partition key`),
   * that the plan cannot prove and the job leaves to the destination: rows that violate them go to quarantine.
   */
  readonly accept?: readonly string[];
  readonly position: Position;
}

export interface ColumnRule {
  readonly spec: TransformerSpec;
  readonly position: Position;
}

/** What is special about one collection. */
export interface JobCollection {
  /** A filter in MongoDB's query language, as extended JSON. */
  readonly where?: Readonly<Record<string, unknown>>;
  readonly skip?: boolean;
  /** Destination `database.collection`. */
  readonly rename?: string;
  /** What becomes of a field that nobody decided on; absent: as the job says. */
  readonly unlisted?: 'block' | 'keep' | 'null';
  /** By path: `email`, `orders[].address.street`, `tiers.*.id`. */
  readonly fields: Readonly<Record<string, FieldRule>>;
  /** New fields at the top of the document, by name. */
  readonly derive: Readonly<Record<string, DerivedRule>>;
  /** Unique indexes, by name, that the plan cannot prove: documents that violate them go to quarantine. */
  readonly accept?: readonly string[];
  /** Anonymized by one aggregation on the server. */
  readonly pushdown?: boolean;
  /** Keyed transformers may be pushed down, which hands the server a key. */
  readonly allowKeyOnServer?: boolean;
  readonly position: Position;
}

export interface FieldRule {
  /** A transformer; `drop` leaves the field out, `block` refuses the document. */
  readonly spec: TransformerSpec;
  /** By BSON type (`string`, `int`, `objectId`, …, as `$type` names them); `spec` for all others. */
  readonly types?: Readonly<Record<string, TransformerSpec>>;
  /** What a transformer cannot read (NaN, dates beyond the year 9999): refuse the document (default), or keep it. */
  readonly special?: 'refuse' | 'keep';
  readonly position: Position;
}

/** A new field, from the source's value of another one. */
export interface DerivedRule {
  readonly from: string;
  readonly spec: TransformerSpec;
  readonly position: Position;
}

export interface VirtualReference {
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly position: Position;
}

/** Where in the job file something stands; 1-based. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One mistake in a job file. */
export interface Mistake {
  readonly position: Position;
  /** What is wrong, where the nearest valid name is, what to do. */
  readonly message: string;
}
