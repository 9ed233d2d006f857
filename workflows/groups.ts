import type { PreparedRun, PreparedTable } from '../activities/types.js';

/** The work of one `syncTable`: a large table, or small ones together. */
export interface Group {
  readonly name: string;
  readonly tables: readonly PreparedTable[];
  readonly small: boolean;
}

/** Small tables that share an activity: so many at most, since one that fails is tried again with its group. */
const GROUP_SIZE = 40;

/**
 * The groups of each layer, the largest tables first, so that the longest does not start last. Small tables are dealt
 * out evenly over the partitions that may be in flight.
 */
export function groupsOf(prepared: PreparedRun): Group[][] {
  const byId = new Map(prepared.tables.map((table) => [table.id, table]));
  return prepared.layers.map((layer, layerIndex) => {
    const tables = layer.map((id) => byId.get(id)!).sort((a, b) => b.rows - a.rows || a.id - b.id);
    const large = tables.filter((table) => !table.small);
    const small = tables.filter((table) => table.small);
    const hands = Math.max(
      Math.min(prepared.concurrency, small.length),
      Math.ceil(small.length / GROUP_SIZE),
    );
    const dealt = Array.from({ length: hands }, (_, hand) =>
      small.filter((_, index) => index % hands === hand),
    );
    return [
      ...large.map((table) => ({ name: table.name, tables: [table], small: false })),
      ...dealt.map((hand, index) => ({
        name: hand.length === 1 ? hand[0]!.name : `small-${layerIndex + 1}.${index + 1}`,
        tables: hand,
        small: true,
      })),
    ];
  });
}

/** Each running group's share of the partitions that may be in flight. */
export function share(concurrency: number, running: number): number {
  return Math.max(1, Math.floor(concurrency / Math.max(1, running)));
}
