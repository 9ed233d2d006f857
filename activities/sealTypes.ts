import type { ExistingCounts } from '../retention/token/counts.js';

/* What `sealExisting` may call. Histories hold names, page numbers and counts: no value, and nothing of a key. */

/** Input of `sealExisting`: everything is optional for a person at the Temporal UI. */
export interface SealInput {
  /** Tables of the retention file, `schema.table`. Default: all of them. */
  tables?: string[];
  /** The text of a retention file, as `lethe retention seal` sends it: references only, no secret. Default: the worker's. */
  file?: { name: string; text: string };
  /** Reference to the URL of the database of tables for which the file names none: `env:EVENTS_URL`. */
  database?: string;
  /** Counts, and changes nothing. Default false. */
  dryRun?: boolean;
  /** Replaces values whose day is over: so many of them, as a dry run counted. Default: they stay plain, and are counted. */
  redactExpired?: number;
  /** What may see plain values while rows are sealed, by its name in the refusal: `trigger audit`. */
  accept?: string[];
  /** Leaves out the rewrite at the end, which locks the tables: what rows were before stays in their files. */
  skipRewrite?: boolean;
}

/** A table as activities find it, pinned for the workflow. */
export interface SealRef {
  table: string;
  /** Reference to the URL of its database. */
  database: string;
  file: { name: string; text: string };
}

export interface SealedUnit {
  schema: string;
  name: string;
  pages: number;
}

export interface PlannedSeal {
  ref: SealRef;
  units: SealedUnit[];
  notes: string[];
  /** By policy, where values are to be redacted: which days are over when that begins. */
  expiry?: SealExpiry;
}

/** Days by policy: those before `first`, and `gone`. */
export type SealExpiry = Record<string, { first: string; gone: string[] }>;

/** A range of pages of one relation; without an end, up to what came while others were sealed. */
export interface SealPart {
  unit: { schema: string; name: string };
  from: number;
  to: number;
}

export interface SealMode {
  dryRun: boolean;
  redact: boolean;
  /** Only values of these days are redacted; what ends meanwhile stays plain. */
  expiry?: SealExpiry;
}

/** Counts by column. */
export type SealCounts = Record<string, ExistingCounts>;

export interface SealEnd {
  rewritten: boolean;
  /** Values that were looked for in the files of the table, and such as were found there in plain. */
  looked: number;
  found: number;
  /** Why the files were not searched. */
  unread?: string;
}

/** Of the control queue. */
export interface SealControlActivities {
  /** Finds the tables, and refuses with everything that speaks against sealing them in place. */
  planSeal(input: SealInput): Promise<PlannedSeal[]>;
  /** The relations of a table, and their pages now. */
  measureSeal(ref: SealRef): Promise<SealedUnit[]>;
  /** The rewrite, and the search of the files for what was sealed. */
  finishSeal(ref: SealRef, options: { skipRewrite: boolean }): Promise<SealEnd>;
}

/** Of the data queue. */
export interface SealDataActivities {
  /** Seals what lies in some pages. May be repeated: what is sealed stays. */
  sealPart(ref: SealRef, part: SealPart, mode: SealMode): Promise<SealCounts>;
}
