import type { Findings } from './findings.js';
import type { Reference, TablePair } from './model.js';
import type { Order } from './order.js';
import type { SemiJoin } from './plan.js';

/**
 * Rows that a `where` leaves out take their children along (`orphans: drop`), or the plan is refused.
 * `dangling` says that a referencing column is NULL in every row, so that nothing is referenced.
 */
export function closeFilters(
  tables: readonly TablePair[],
  references: readonly Reference[],
  order: Order,
  dangling: (reference: Reference) => boolean,
  findings: Findings,
): Map<number, SemiJoin[]> {
  const byId = new Map(tables.map((table) => [table.id, table]));
  const semiJoins = new Map<number, SemiJoin[]>();
  const isFiltered = (table: TablePair) =>
    table.rules?.where !== undefined || (semiJoins.get(table.id)?.length ?? 0) > 0;
  for (const id of order.layers.flat()) {
    const child = byId.get(id);
    if (!child) continue;
    const joins: SemiJoin[] = [];
    for (const reference of references) {
      const { from, to } = reference;
      if (from !== child || !isFiltered(to) || dangling(reference)) continue;
      if (child.rules?.orphans === 'drop' && to !== child) {
        const closed = !order.cycles.some((cycle) => cycle.includes(child.id) && cycle.includes(to.id));
        joins.push(semiJoin(reference, closed ? (semiJoins.get(to.id) ?? []) : []));
        if (!closed) warnUnclosed(reference, findings);
        continue;
      }
      judge(reference, findings);
    }
    semiJoins.set(id, joins);
  }
  return semiJoins;
}

function semiJoin({ pairs, to }: Reference, nested: readonly SemiJoin[]): SemiJoin {
  return {
    columns: pairs.map((pair) => pair.from.source.name),
    parent: { schema: to.source.schema, name: to.source.name },
    parentColumns: pairs.map((pair) => pair.to.source.name),
    ...(to.rules?.where !== undefined && { where: to.rules.where }),
    semiJoins: nested,
  };
}

function judge(reference: Reference, findings: Findings): void {
  const { from, to } = reference;
  const place = { table: from.name, position: from.rules?.position ?? to.rules?.position };
  const label = `rows of ${from.name} may reference rows of ${to.name} that are filtered away (${reference.name})`;
  if (from.rules?.where !== undefined || from === to || reference.origin !== 'destination') {
    const fate = reference.enforced ? 'they go to quarantine' : 'they are copied without their parents';
    const way = from === to ? 'let `where` choose whole trees' : 'add `orphans: drop` to leave them out';
    findings.warn('filtered-parent', `${label}: ${fate}; ${way}`, place);
    return;
  }
  findings.refuse(
    'filtered-parent',
    `${label}: add \`orphans: drop\` under \`tables\` → ${from.name} to leave those rows out, or null ${reference.pairs.map((pair) => pair.from.source.name).join(', ')} there`,
    place,
  );
}

function warnUnclosed({ from, to, name }: Reference, findings: Findings): void {
  findings.warn(
    'filtered-cycle',
    `${from.name} and ${to.name} reference each other (${name}) and are filtered: rows that lose their parents at the second step go to quarantine`,
    { table: from.name },
  );
}
