import { getTransformer } from '../anonymize/registry.js';
import type { ColumnType, TransformerSpec } from '../anonymize/transformer.js';
import type { ColumnPlan } from '../plan/plan.js';

/** A permutation of fewer values than this must be allowed by the job (`allowSmall`). */
const LEAST_VALUES = 1_000_000;

/** Row-aligned leaks of one column: values that came out as they went in though they should not. */
export interface LeakVerdict {
  readonly ok: boolean;
  /** Rows that chance alone would give, for a one-to-one mapping; 0 for all others, which avoid their input. */
  readonly expected: number;
}

/**
 * A transformer that draws from a list, hashes or makes things up never returns its input, so one such row is a leak. A
 * one-to-one mapping may: a permutation of n values leaves one of them in its place on average, and the rows that hold
 * that one follow it. There only what is far beyond chance is a leak: more than a hundredth of the rows, and more than
 * twenty values' share.
 */
export function judgeLeaks(column: ColumnPlan, leaks: number, rows: number): LeakVerdict {
  const values = Math.min(...specsOf(column).map((spec) => mappedValues(spec, column.compileType)));
  if (values === Number.POSITIVE_INFINITY) return { ok: leaks === 0, expected: 0 };
  const allowed = rows * Math.min(1, Math.max(0.01, 20 / values));
  return { ok: leaks <= Math.max(2, allowed), expected: rows / values };
}

function specsOf(column: ColumnPlan): TransformerSpec[] {
  return column.branches.flatMap(({ apply, otherwise }) => (otherwise ? [apply, otherwise] : [apply]));
}

/** How many values a one-to-one mapping is over; infinity for what is none, or may return its input by design. */
function mappedValues(spec: TransformerSpec, type: ColumnType): number {
  const transformer = getTransformer(spec.name);
  const proof = transformer.proof(type, transformer.options.parse(spec.options));
  if (proof.unique !== 'injective' || proof.mayEqualInput) return Number.POSITIVE_INFINITY;
  if (proof.maxInteger !== undefined) return Number(proof.maxInteger);
  return spec.options.allowSmall === true ? 10 : LEAST_VALUES;
}
