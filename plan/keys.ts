import type { CatalogIndex } from './catalog.js';
import type { Findings } from './findings.js';
import { columnOf, type TablePair } from './model.js';
import type { TablePlan } from './plan.js';

/** How a table is cut into ranges: by its primary key, else a unique index without NULLs, else by block. */
export function chooseKey(table: TablePair, findings: Findings): TablePlan['key'] {
  const [best] = table.source.indexes
    .filter((index) => isUsable(index, table))
    .sort((a, b) => rank(a) - rank(b) || a.columns.length - b.columns.length || (a.name < b.name ? -1 : 1));
  if (best) return { kind: 'columns', columns: best.columns.filter((column) => column !== null) };
  findings.note(
    'no-key',
    `${table.name} has no primary key and no unique index without NULLs: it is read by block ranges, and read again as a whole if the snapshot is lost`,
    { table: table.name },
  );
  return { kind: 'ctid' };
}

function rank(index: CatalogIndex): number {
  return index.primary ? 0 : 1;
}

function isUsable(index: CatalogIndex, table: TablePair): boolean {
  return (
    index.unique &&
    index.valid &&
    index.method === 'btree' &&
    index.predicate === undefined &&
    index.columns.length > 0 &&
    index.columns.every((name) => {
      if (name === null) return false;
      const column = columnOf(table, name);
      return column !== undefined && !column.source.type.nullable;
    })
  );
}
