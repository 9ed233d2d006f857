import { components } from './graph.js';
import type { Reference, TablePair } from './model.js';

export interface Order {
  /** Table ids; a table references only tables of earlier layers, of its own cycle, or itself. */
  readonly layers: number[][];
  /** Table ids that reference each other. */
  readonly cycles: number[][];
}

/** Parents before children; tables of one cycle stand in one layer. */
export function orderTables(tables: readonly TablePair[], references: readonly Reference[]): Order {
  const parents = new Map<number, Set<number>>(tables.map((table) => [table.id, new Set()]));
  for (const { from, to } of references) if (from.id !== to.id) parents.get(from.id)?.add(to.id);
  const ascending = (a: number, b: number) => a - b;
  const groups = components(
    tables.map((table) => table.id),
    (id) => [...(parents.get(id) ?? [])].sort(ascending),
  );
  const layerOf = new Map<number, number>();
  const layers: number[][] = [];
  for (const group of groups) {
    const outside = group.flatMap((id) => [...(parents.get(id) ?? [])]).filter((id) => !group.includes(id));
    const layer = Math.max(-1, ...outside.map((id) => layerOf.get(id) ?? -1)) + 1;
    for (const id of group) layerOf.set(id, layer);
    layers[layer] = [...(layers[layer] ?? []), ...group].sort(ascending);
  }
  const cycles = groups.filter((group) => group.length > 1).map((group) => group.sort(ascending));
  return { layers, cycles: cycles.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)) };
}
