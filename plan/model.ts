import type { ColumnType } from '../anonymize/transformer.js';
import type { TableRules } from '../job/types.js';
import type { CatalogColumn, CatalogTable } from './catalog.js';
import type { Fit } from './types.js';

/** A table of the job with its counterpart in the destination. */
export interface TablePair {
  /** Ascending in byte order of `name`, from 1. */
  readonly id: number;
  /** `schema.table` in the source: how the job file and every message name it. */
  readonly name: string;
  readonly source: CatalogTable;
  readonly destination: CatalogTable;
  /** What the job file says about it. */
  readonly rules?: TableRules;
  /** Columns that are written, in the source's order. */
  readonly columns: readonly ColumnPair[];
}

export interface ColumnPair {
  /** `schema.table.column` in the source. */
  readonly key: string;
  readonly table: string;
  readonly source: CatalogColumn;
  readonly destination: CatalogColumn;
  /** The narrower of both ends' types. */
  readonly type: ColumnType;
  readonly fit: Fit;
}

/** A foreign key between tables of the job; columns are paired by position. */
export interface Reference {
  readonly name: string;
  readonly from: TablePair;
  readonly to: TablePair;
  readonly pairs: readonly ReferencePair[];
  /** Who declares it. Of a foreign key that both databases declare, `destination`. */
  readonly origin: 'source' | 'destination' | 'job';
  readonly matchFull: boolean;
  /** The destination checks it. */
  readonly enforced: boolean;
}

export interface ReferencePair {
  readonly from: ColumnPair;
  readonly to: ColumnPair;
}

export function columnOf(table: TablePair, name: string): ColumnPair | undefined {
  return table.columns.find((column) => column.source.name === name);
}

/** By the column's name in the destination. */
export function destinationColumnOf(table: TablePair, name: string): ColumnPair | undefined {
  return table.columns.find((column) => column.destination.name === name);
}
