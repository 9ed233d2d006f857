import { didYouMean } from '../job/nearest.js';
import { type CatalogColumn, type CatalogTable, tableText } from './catalog.js';
import type { Findings } from './findings.js';
import type { ColumnPair } from './model.js';
import { compareTypes, narrowest } from './types.js';

/** The columns that both ends have and that can be written, in the source's order. */
export function pairColumns(
  source: CatalogTable,
  destination: CatalogTable,
  findings: Findings,
): ColumnPair[] {
  const table = tableText(source);
  const pairs: ColumnPair[] = [];
  for (const column of source.columns) {
    const counterpart = destination.columns.find((candidate) => candidate.name === column.name);
    if (!counterpart) continue;
    const pair = pairOne(table, column, counterpart, findings);
    if (pair) pairs.push(pair);
  }
  refuseUnfilled(source, destination, findings);
  return pairs;
}

function pairOne(
  table: string,
  source: CatalogColumn,
  destination: CatalogColumn,
  findings: Findings,
): ColumnPair | undefined {
  const place = { table, column: source.name };
  if (destination.generated !== 'no') {
    findings.note(
      'generated-column',
      `${table}.${source.name} is computed by the destination from its own columns`,
      place,
    );
    return undefined;
  }
  const how = compareTypes(source.type, destination.type);
  if (how === 'no') {
    findings.refuse(
      'type-mismatch',
      `${table}.${source.name} is ${source.type.name} in the source and ${destination.type.name} in the destination: make the types equal, or skip the table`,
      place,
    );
    return undefined;
  }
  if (how === 'wider') {
    findings.warn(
      'type-wider',
      `${table}.${source.name} is ${source.type.name} in the source and ${destination.type.name} in the destination: values are copied as text`,
      place,
    );
  }
  const type = narrowest([source.type, destination.type]) ?? source.type;
  return { key: `${table}.${source.name}`, table, source, destination, type, fit: how };
}

/** Columns of the source that the destination lacks, in the source's order. */
export function missingColumns(source: CatalogTable, destination: CatalogTable): CatalogColumn[] {
  const names = new Set(destination.columns.map((column) => column.name));
  return source.columns.filter((column) => !names.has(column.name));
}

/** Says what a column that the destination lacks needs; one that the job nulls is simply left out. */
export function refuseMissing(
  source: CatalogTable,
  destination: CatalogTable,
  nulled: (column: string) => boolean,
  findings: Findings,
): void {
  const table = tableText(source);
  for (const column of missingColumns(source, destination)) {
    const place = { table, column: column.name };
    if (column.generated !== 'no' || nulled(column.name)) {
      findings.note('left-out', `${table}.${column.name} is not in the destination and is left out`, place);
      continue;
    }
    const near = didYouMean(
      column.name,
      destination.columns
        .map((candidate) => candidate.name)
        .filter((name) => !source.columns.some((c) => c.name === name)),
    );
    findings.refuse(
      'missing-destination-column',
      `${table}.${column.name} is not in ${tableText(destination)} of the destination${near}: add it there, or leave it out by \`${column.name}: null\` in the job file`,
      place,
    );
  }
}

function refuseUnfilled(source: CatalogTable, destination: CatalogTable, findings: Findings): void {
  const table = tableText(source);
  const names = new Set(source.columns.map((column) => column.name));
  for (const column of destination.columns) {
    if (names.has(column.name) || column.generated !== 'no') continue;
    const place = { table, column: column.name };
    if (column.type.nullable || column.default !== undefined || column.identity !== 'no') {
      findings.note(
        'destination-only-column',
        `${tableText(destination)}.${column.name} is only in the destination and gets ${column.default !== undefined || column.identity !== 'no' ? 'its default' : 'NULL'}`,
        place,
      );
      continue;
    }
    findings.refuse(
      'unfilled-column',
      `${tableText(destination)}.${column.name} is NOT NULL without a default in the destination and missing in the source: give it a default, or drop its NOT NULL`,
      place,
    );
  }
}
