import { type Catalog, type CatalogTable, tableText } from './catalog.js';
import { canonicalJson } from './json.js';
import type { ColumnPlan, Plan, TablePlan } from './plan.js';
import { refuseCorrection } from './refuse.js';

export interface Correction {
  /** The run's plan with the corrected job's rules. */
  readonly plan: Plan;
  /** `schema.table.column` of the source, whose treatment changed. */
  readonly changed: readonly string[];
  /** Ids of tables that have to be loaded again whole, and why: the column, and what depends on it. */
  readonly again: ReadonlyMap<number, string>;
}

/**
 * What a replay under a corrected job works by. Most rows are copied already, by the plan that the run pinned. A column
 * that nothing else depends on may be treated differently in the rows that are replayed. One of a key, a unique index or
 * a partition key, or that shares a domain with another column, may not: its table is loaded again. What `upsert` wrote
 * is found by its keys only, so there such a change is refused.
 *
 * @param pinned The plan of the run.
 * @param corrected The plan of the corrected job, as the catalogs are now.
 * @throws LetheError `PlanRefused` with everything that may not change.
 */
export function correctPlan(
  pinned: Plan,
  corrected: Plan,
  catalogs: { readonly source: Catalog; readonly destination: Catalog },
): Correction {
  const refused: string[] = [];
  for (const what of ['job', 'mode', 'consistency'] as const) {
    if (pinned[what] !== corrected[what])
      refused.push(`its ${what} is ${corrected[what]}, the run's is ${pinned[what]}`);
  }
  for (const side of ['source', 'destination'] as const) {
    if (!same(pinned[side], corrected[side])) refused.push(`its ${side} is another database than the run's`);
  }
  const names = (plan: Plan) => plan.tables.map(({ source }) => tableText(source));
  if (!same(names(pinned), names(corrected)))
    refused.push('it copies other tables than the run, or more, or less');
  const changed: string[] = [];
  const again = new Map<number, string>();
  const tables = refused.length > 0 ? [] : pinned.tables;
  for (const table of tables) {
    const now = corrected.tables.find(({ id }) => id === table.id)!;
    const name = tableText(table.source);
    refused.push(...changesOfTable(table, now).map((change) => `${name}: ${change}`));
    for (const [i, column] of table.columns.entries()) {
      const next = now.columns[i];
      if (!next || same(treatment(table, column), treatment(now, next))) continue;
      changed.push(`${name}.${column.name}`);
      const why = dependence(pinned, table, column, catalogs) ?? dependence(corrected, now, next, catalogs);
      if (!why) continue;
      const reason = `${name}.${column.name} is treated differently, and ${why}`;
      if (pinned.mode === 'replace') again.set(table.id, again.get(table.id) ?? reason);
      else refused.push(reason);
    }
  }
  refuseCorrection(refused, 'rows');
  const { ruleSet, versions, execution, domains } = corrected;
  return {
    changed,
    again,
    plan: {
      ...pinned,
      ruleSet,
      versions,
      execution,
      domains,
      tables: pinned.tables.map((table) => {
        const { columns, conditions } = corrected.tables.find(({ id }) => id === table.id)!;
        return { ...table, columns, conditions };
      }),
    },
  };
}

function changesOfTable(before: TablePlan, now: TablePlan): string[] {
  const columns = ({ columns }: TablePlan) => columns.map(({ name, destination }) => [name, destination]);
  return [
    ...(same(before.destination, now.destination) ? [] : ['it goes to another table']),
    ...(same(before.key, now.key) ? [] : ['its key changed']),
    ...(same([before.where, before.semiJoins], [now.where, now.semiJoins])
      ? []
      : ['other rows of it would be copied (`where`, `orphans`)']),
    ...(same(columns(before), columns(now)) ? [] : ['it has other columns']),
    ...(same(before.conflictKey, now.conflictKey) ? [] : ['its conflict key changed']),
  ];
}

/** All that decides what becomes of a column's values. */
function treatment({ conditions }: TablePlan, { branches, domain, compileType }: ColumnPlan): unknown {
  return [
    domain,
    compileType,
    branches.map(({ when, apply, otherwise }) => [
      when === undefined ? null : conditions[when],
      apply,
      otherwise ?? null,
    ]),
  ];
}

/** Why rows that are copied already forbid to change the column; undefined when none does. */
function dependence(
  plan: Plan,
  table: TablePlan,
  column: ColumnPlan,
  { source, destination }: { readonly source: Catalog; readonly destination: Catalog },
): string | undefined {
  const others = plan.domains.find(({ name }) => name === column.domain)?.members ?? [];
  const own = `${tableText(table.source)}.${column.name}`;
  const other = others.find((member) => member !== own);
  if (other) return `${other} must give the same values`;
  if (table.key.kind === 'columns' && table.key.columns.includes(column.name))
    return 'it is part of the key of the table';
  return (
    restriction(find(source, table.source), column.name) ??
    restriction(find(destination, table.destination), column.destination)
  );
}

function restriction(table: CatalogTable | undefined, column: string): string | undefined {
  if (!table) return undefined;
  const indexes = [...table.indexes, ...table.leaves.flatMap((leaf) => leaf.indexes ?? [])];
  const index = indexes.find(
    ({ unique, exclusion, columns, expressionColumns }) =>
      (unique || exclusion) && (columns.includes(column) || expressionColumns.includes(column)),
  );
  if (index) return `it is part of the unique index ${index.name}`;
  if (table.partitionKey?.columns.includes(column) || table.partitionKey?.expression)
    return 'it decides in which partition a row lies';
  const key = table.foreignKeys.find(({ columns }) => columns.includes(column));
  return key && `it is part of the foreign key ${key.name}`;
}

function find(catalog: Catalog, { schema, name }: TablePlan['source']): CatalogTable | undefined {
  return catalog.tables.find((table) => table.schema === schema && table.name === name);
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
