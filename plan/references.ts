import { didYouMean } from '../job/nearest.js';
import type { Job, VirtualReference } from '../job/types.js';
import { type CatalogForeignKey, type CatalogTable, type TableName, tableText } from './catalog.js';
import type { Findings } from './findings.js';
import {
  type ColumnPair,
  columnOf,
  destinationColumnOf,
  type Reference,
  type ReferencePair,
  type TablePair,
} from './model.js';

/** A table's foreign keys, and those that single partitions have beyond it. */
function foreignKeysOf(table: CatalogTable): CatalogForeignKey[] {
  return [...table.foreignKeys, ...table.leaves.flatMap((leaf) => leaf.foreignKeys ?? [])];
}

/** Every reference between tables of the job: declared at either end, and the job's own. */
export function collectReferences(job: Job, tables: readonly TablePair[], findings: Findings): Reference[] {
  const found = new Map<string, Reference>();
  const add = (reference: Reference) => {
    const identity = `${reference.from.id}>${reference.to.id}:${reference.pairs.map((p) => `${p.from.key}=${p.to.key}`).join()}`;
    const known = found.get(identity);
    if (!known || (reference.enforced && !known.enforced)) found.set(identity, reference);
  };
  for (const end of ['source', 'destination'] as const) {
    const byName = tablesByName(tables, end);
    for (const table of tables) {
      for (const key of foreignKeysOf(table[end])) {
        const target = byName.get(tableText(key.references));
        if (target) addDeclared(key, table, target, end, add);
      }
    }
  }
  for (const reference of job.references) addVirtual(reference, tables, findings, add);
  return [...found.values()];
}

function addDeclared(
  key: CatalogForeignKey,
  from: TablePair,
  to: TablePair,
  end: 'source' | 'destination',
  add: (reference: Reference) => void,
): void {
  const find = end === 'source' ? columnOf : destinationColumnOf;
  const pairs: ReferencePair[] = [];
  for (const [at, column] of key.columns.entries()) {
    const child = find(from, column);
    const parent = find(to, key.referencedColumns[at] ?? '');
    if (child && parent) pairs.push({ from: child, to: parent });
  }
  if (pairs.length === 0) return;
  add({
    name: key.name,
    from,
    to,
    pairs,
    origin: end,
    matchFull: key.matchFull,
    enforced: end === 'destination',
  });
}

function addVirtual(
  reference: VirtualReference,
  tables: readonly TablePair[],
  findings: Findings,
  add: (reference: Reference) => void,
): void {
  const place = { position: reference.position };
  if (reference.from.length !== reference.to.length || reference.from.length === 0) {
    findings.refuse(
      'reference-invalid',
      `a reference from ${reference.from.length} columns to ${reference.to.length}: list as many on both sides, paired by position`,
      place,
    );
    return;
  }
  const from = reference.from.map((key) => findColumn(key, tables, findings, place));
  const to = reference.to.map((key) => findColumn(key, tables, findings, place));
  const pairs: ReferencePair[] = [];
  for (const [at, child] of from.entries()) {
    const parent = to[at];
    if (!child || !parent) return;
    pairs.push({ from: child, to: parent });
  }
  const [first] = pairs;
  if (!first) return;
  if (pairs.some((pair) => pair.from.table !== first.from.table || pair.to.table !== first.to.table)) {
    findings.refuse('reference-invalid', 'the columns of one side of a reference belong to one table', place);
    return;
  }
  const table = (key: string) => tables.find((candidate) => candidate.name === key) as TablePair;
  add({
    name: `${reference.from.join(', ')} → ${reference.to.join(', ')}`,
    from: table(first.from.table),
    to: table(first.to.table),
    pairs,
    origin: 'job',
    matchFull: false,
    enforced: false,
  });
}

/** Finds `schema.table.column` among the job's columns, or refuses with the nearest name. */
export function findColumn(
  key: string,
  tables: readonly TablePair[],
  findings: Findings,
  place: { readonly position?: VirtualReference['position'] } = {},
): ColumnPair | undefined {
  const columns = tables.flatMap((table) => table.columns);
  const column = columns.find((candidate) => candidate.key === key);
  if (column) return column;
  const near = didYouMean(
    key,
    columns.map((candidate) => candidate.key),
  );
  findings.refuse(
    'missing-column',
    `no column ${key} is written by this job${near}: name it as schema.table.column`,
    place,
  );
  return undefined;
}

/** Tables by `schema.table` of one end, and by the names of their partitions, which foreign keys may name too. */
export function tablesByName(
  tables: readonly TablePair[],
  end: 'source' | 'destination',
): Map<string, TablePair> {
  const names = new Map<string, TablePair>();
  for (const table of tables) {
    for (const leaf of table[end].leaves) names.set(tableText(leaf), table);
    names.set(tableText(table[end]), table);
  }
  return names;
}

/** A foreign key of one end whose other table is not in the job. */
export interface OutsideReference {
  readonly table: TablePair;
  readonly key: CatalogForeignKey;
  /** `toOutside`: a table of the job references the other one; `fromOutside`: the other way round. */
  readonly direction: 'toOutside' | 'fromOutside';
  readonly outside: TableName & { readonly empty: boolean };
}

/** Foreign keys of the destination between a table of the job and one outside it. */
export function outsideReferences(
  tables: readonly TablePair[],
  destination: readonly CatalogTable[],
): OutsideReference[] {
  const inside = tablesByName(tables, 'destination');
  const physical = (name: TableName): boolean =>
    destination
      .find((table) => tableText(table) === tableText(name))
      ?.leaves.every((leaf) => leaf.pages === 0) ?? false;
  const found: OutsideReference[] = [];
  for (const child of destination) {
    const childPair = inside.get(tableText(child));
    for (const key of foreignKeysOf(child)) {
      const parentPair = inside.get(tableText(key.references));
      if (childPair && !parentPair) {
        const outside = { ...key.references, empty: physical(key.references) };
        found.push({ table: childPair, key, direction: 'toOutside', outside });
      }
      if (!childPair && parentPair) {
        const outside = { schema: child.schema, name: child.name, empty: physical(child) };
        found.push({ table: parentPair, key, direction: 'fromOutside', outside });
      }
    }
  }
  return found;
}
