import { getTransformer } from '../anonymize/registry.js';
import type { Proof } from '../anonymize/transformer.js';
import type { ColumnPlan } from '../plan/plan.js';

/** What is counted of a column on one side: numbers only. Shares are of the values that are there. */
export interface ColumnAggregates {
  readonly rows: number;
  readonly nulls: number;
  readonly distinct: number;
  /** Characters: shortest, longest, on average. Absent when no value is there. */
  readonly length?: { readonly least: number; readonly most: number; readonly mean: number };
  /** Of numbers and points in time (seconds): least, most, on average. */
  readonly range?: { readonly least: number; readonly most: number; readonly mean: number };
  /** How often the most frequent values occur, most frequent first; not which they are. */
  readonly top: readonly number[];
}

/** Distances of a column's two sides, each 0 (alike) to 1. */
export interface Drift {
  readonly nulls: number;
  readonly distinct: number;
  readonly length: number;
  /** Undefined for what is neither number nor time. */
  readonly range?: number;
  readonly top: number;
  /** The largest that counts. */
  readonly distance: number;
}

/** What of a column is compared: what its transformer changes by design tells nothing. */
export interface DriftScope {
  readonly nulls: boolean;
  readonly distinct: boolean;
  readonly top: boolean;
  readonly length: boolean;
  readonly range: boolean;
}

/** Each value becomes another of its kind, the same every time: how often values occur stays. */
const SUBSTITUTES = new Set(
  (
    'city company creditCard email firstName fullName hash iban ip lastName permute phone postalCode scramble street ' +
    'url username uuid'
  ).split(' '),
);

/** What of a column can be compared, from the transformers of its branches. */
export function driftScope(column: Pick<ColumnPlan, 'branches' | 'compileType'>): DriftScope {
  const specs = column.branches.flatMap(({ apply, otherwise }) => (otherwise ? [apply, otherwise] : [apply]));
  const all = (test: (name: string, proof: Proof) => boolean) =>
    specs.every(({ name, options }) => {
      const transformer = getTransformer(name);
      return test(name, transformer.proof(column.compileType, transformer.options.parse(options)));
    });
  const keeps = (name: string) => name === 'keep';
  return {
    nulls: all((_, proof) => proof.keepsNull),
    distinct: all((name, proof) => keeps(name) || proof.unique !== 'no'),
    top: all((name) => keeps(name) || SUBSTITUTES.has(name)),
    length: all(keeps),
    range: all(keeps),
  };
}

/**
 * How far the distribution of a column moved. Null shares and distinct shares by their difference; lengths and ranges
 * by how far their ends and means moved, in widths; the most frequent values by the total variation of their shares in
 * order, which says whether one value became as frequent as another was, whatever the values are.
 */
export function columnDrift(
  source: ColumnAggregates,
  destination: ColumnAggregates,
  scope: DriftScope,
): Drift {
  const givenBefore = source.rows - source.nulls;
  const givenAfter = destination.rows - destination.nulls;
  const both = givenBefore > 0 && givenAfter > 0;
  const range = source.range && destination.range && spreadDistance(source.range, destination.range);
  const drift = {
    nulls: Math.abs(share(source.nulls, source.rows) - share(destination.nulls, destination.rows)),
    distinct: both
      ? Math.abs(share(source.distinct, givenBefore) - share(destination.distinct, givenAfter))
      : 0,
    length: spreadDistance(source.length, destination.length),
    ...(range !== undefined && { range }),
    top: both ? topDistance(source.top, givenBefore, destination.top, givenAfter) : 0,
  };
  const parts = ['nulls', 'distinct', 'length', 'range', 'top'] as const;
  return { ...drift, distance: Math.max(0, ...parts.map((part) => (scope[part] ? (drift[part] ?? 0) : 0))) };
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

interface Spread {
  readonly least: number;
  readonly most: number;
  readonly mean: number;
}

/** How far two spreads lie apart: the part of their common width that only one of them covers, or the means' shift. */
function spreadDistance(a: Spread | undefined, b: Spread | undefined): number {
  if (!a || !b) return 0;
  const width = Math.max(a.most, b.most) - Math.min(a.least, b.least);
  if (width === 0) return 0;
  const ends = (Math.abs(a.least - b.least) + Math.abs(a.most - b.most)) / 2 / width;
  const means = Math.abs(a.mean - b.mean) / width;
  return Math.min(1, Math.max(ends, means));
}

function topDistance(a: readonly number[], givenA: number, b: readonly number[], givenB: number): number {
  let sum = 0;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    sum += Math.abs(share(a[i] ?? 0, givenA) - share(b[i] ?? 0, givenB));
  }
  return Math.min(1, sum / 2);
}
