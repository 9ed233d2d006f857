import type { TableName } from '../plan/catalog.js';
import type { TablePlan } from '../plan/plan.js';

/**
 * Quotes one identifier, always: `order` → `"order"`. The only place where names enter SQL text.
 * Throws a `TypeError` for the empty name and for NUL, which PostgreSQL cannot hold either.
 */
export function quoteIdent(name: string): string {
  refuseNul(name);
  if (name === '') throw new TypeError('An SQL identifier cannot be empty.');
  return `"${name.replaceAll('"', '""')}"`;
}

/** `{ schema, name }` → `"schema"."name"`. Sessions have an empty search path, so the schema is always written. */
export function quoteTable(table: TableName): string {
  return `${quoteIdent(table.schema)}.${quoteIdent(table.name)}`;
}

/** A table of the destination as a whole, as `FROM` has it: a partition root with its partitions, others by themselves. */
export function wholeTable(table: Pick<TablePlan, 'destination' | 'destinationKind'>): string {
  return `${table.destinationKind === 'partitioned' ? '' : 'ONLY '}${quoteTable(table.destination)}`;
}

/** `["a", "b"]` → `"a", "b"`. */
export function quoteColumns(columns: readonly string[]): string {
  return columns.map(quoteIdent).join(', ');
}

/**
 * Quotes a text constant, for the few statements that take no parameters (DDL, COPY options, SET). Right under both
 * settings of `standard_conforming_strings`. Refuses NUL. Never for row values: statements are logged.
 */
export function quoteLiteral(text: string): string {
  refuseNul(text);
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

function refuseNul(text: string): void {
  if (text.includes('\0')) throw new TypeError('SQL text cannot hold a NUL character.');
}
