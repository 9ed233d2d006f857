import { createHash } from 'node:crypto';
import { eachLeaf, type Leaf } from '../mongo/documents/leaves.js';
import { type Place, placesOf } from '../mongo/documents/places.js';
import { findTransformer } from '../plan/effects.js';
import type { TablePlan } from '../plan/plan.js';
import { type ColumnAggregates, columnDrift, driftScope } from './drift.js';
import type { Distribution } from './inspection.js';

/** How many of the most frequent values are counted. */
const TOP = 10;
/** Values of one place that are counted: arrays may be long. */
const MOST_VALUES = 100_000;
/** Characters above which a value is kept as its SHA-256, which is longer than that: the two cannot meet. */
const LONG = 32;

const TEXT = { kind: 'text', name: 'string', nullable: true, equality: 'exact' } as const;

/** Counts the values of one side of a collection, place by place. */
export class DocumentCounts {
  private readonly root: Place;
  private readonly places = new Map<string, PlaceCounts>();

  constructor(private readonly table: TablePlan) {
    this.root = placesOf(table.collection!.rules);
  }

  add(document: Uint8Array): void {
    eachLeaf(document, this.root, (leaf) => {
      const { path } = leaf.place;
      const known = this.places.get(path) ?? new PlaceCounts(leaf.spec);
      this.places.set(path, known);
      known.add(leaf);
    });
  }

  /** Compares with what the same documents became. */
  compare(destination: DocumentCounts): Distribution[] {
    return [...this.places].flatMap(([path, before]): Distribution[] => {
      const after = destination.places.get(path);
      const { spec } = before;
      // Fields that are dropped, or that no transformer decides, have nothing to compare.
      if (!after || (spec && findTransformer(spec.name) === undefined)) return [];
      const apply = spec ?? { name: 'keep', options: {} };
      const scope = driftScope({ branches: [{ rule: '', apply }], compileType: TEXT });
      const [a, b] = [before.result(), after.result()];
      const drift = columnDrift(a, b, scope);
      // Ends and means are made of values: only their distance goes on.
      const [{ range: _before, ...source }, { range: _after, ...copied }] = [a, b];
      return [{ table: this.table.id, column: path, source, destination: copied, drift }];
    });
  }
}

class PlaceCounts {
  private rows = 0;
  private nulls = 0;
  private readonly values = new Map<string, number>();
  private readonly length = new Spread();
  private readonly range = new Spread();

  constructor(readonly spec: Leaf['spec']) {}

  add({ kind, text }: Leaf): void {
    if (this.rows >= MOST_VALUES) return;
    this.rows++;
    if (kind === 'null') this.nulls++;
    if (text === null) return;
    const value = text.length > LONG ? createHash('sha256').update(text).digest('base64') : text;
    this.values.set(value, (this.values.get(value) ?? 0) + 1);
    this.length.add(text.length);
    if (kind === 'number' || kind === 'time') this.range.add(Number(text));
  }

  result(): ColumnAggregates {
    const { rows, nulls } = this;
    const [length, range] = [this.length.result(), this.range.result()];
    const top = [...this.values.values()].sort((a, b) => b - a).slice(0, TOP);
    return {
      rows,
      nulls,
      distinct: this.values.size,
      ...(length && { length }),
      ...(range && { range }),
      top,
    };
  }
}

class Spread {
  private least = Number.POSITIVE_INFINITY;
  private most = Number.NEGATIVE_INFINITY;
  private sum = 0;
  private count = 0;

  add(value: number): void {
    if (!Number.isFinite(value)) return;
    this.least = Math.min(this.least, value);
    this.most = Math.max(this.most, value);
    this.sum += value;
    this.count++;
  }

  result(): { least: number; most: number; mean: number } | undefined {
    const { least, most, sum, count } = this;
    return count === 0 ? undefined : { least, most, mean: sum / count };
  }
}
