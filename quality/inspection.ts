import type { Invalid, OrphanCount } from '../postgres/inspect/constraints.js';
import type { ColumnAggregates, Drift } from './drift.js';
import type { PersonalKind } from './residual.js';
import type { LeakScanResult } from './scan/leakScan.js';
import type { SealedColumn } from './sealed.js';

/** What looking at the rows of a finished run gave: names and numbers. */
export interface Inspection {
  /** State of the source that was read; absent when none could be. */
  readonly snapshot?: string;
  /** Why the source was not read. */
  readonly unread?: string;
  readonly recomputed: readonly Recomputed[];
  readonly leaks?: LeakScanResult;
  readonly residual: readonly Residual[];
  readonly distributions: readonly Distribution[];
  readonly constraints: { readonly checked: number; readonly invalid: readonly Invalid[] };
  readonly orphans: readonly OrphanCount[];
  readonly groups: readonly Groups[];
  /** Where the run sealed values. */
  readonly sealed?: SealedInspection;
}

/** Sealed values as they are in the destination. */
export interface SealedInspection {
  readonly columns: readonly SealedColumn[];
  /** Columns of which only some rows are sealed: nothing is said of them without keys. */
  readonly mixed: number;
  /** Values whose tokens were opened, and hold what the source does. */
  readonly opened: number;
  /** Why none was. */
  readonly unopened?: string;
}

/** Rows of one table that were read and transformed again. */
export interface Recomputed {
  /** Plan id. */
  readonly table: number;
  readonly rows: number;
  /** Not in the destination. */
  readonly missing: number;
  /** By column of the destination: rows that hold something else. */
  readonly differing: Readonly<Record<string, number>>;
  /** Rows of the sample that changed, or came, at the source since the run; they are not compared. */
  readonly changed: number;
  /** The source was read under another state than the load: what differs may have changed in between. */
  readonly unsteady: boolean;
  /** Sealed values that were opened on both sides and are the same. */
  readonly opened: number;
}

/** Values of a kept column that look like personal data. */
export interface Residual {
  readonly table: number;
  readonly column: string;
  readonly looked: number;
  readonly found: Readonly<Partial<Record<PersonalKind, number>>>;
}

export interface Distribution {
  readonly table: number;
  /** Of the destination. */
  readonly column: string;
  readonly source: ColumnAggregates;
  readonly destination: ColumnAggregates;
  readonly drift: Drift;
}

/** Rows that too few others are like. */
export interface Groups {
  /** Index into the job's `kAnonymity`. */
  readonly check: number;
  readonly rows: number;
  readonly groups: number;
  readonly smallest: number;
}

/** How far an inspection is. */
export interface InspectProgress {
  readonly phase: 'source' | 'destination' | 'suspects' | 'constraints';
  /** `schema.table` of the source, where it is about one. */
  readonly table?: string;
  readonly done: number;
  readonly of: number;
}
