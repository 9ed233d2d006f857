import type { CheckSettings, SampleRows } from '../job/types.js';

/** What is searched for leaks without a word in the job file: so many rows, or this share of them if that is more. */
const LEAST_ROWS = 20_000;
const SHARE = 0.01;

/**
 * How many rows of each table are looked at. The search for leaks has a budget over all tables: small ones are searched
 * whole, the rest share what is left equally; the other checks have one a table.
 *
 * @param rows Rows of each table.
 */
export function sampleSizes(rows: readonly number[], settings: CheckSettings): number[] {
  const { leaks, recompute, drift } = settings;
  const total = rows.reduce((sum, count) => sum + count, 0);
  const budget =
    leaks.severity === 'off' ? 0 : (leaks.rows ?? Math.max(LEAST_ROWS, Math.ceil(total * SHARE)));
  const searched = budget === 'all' ? rows.map(() => Number.POSITIVE_INFINITY) : shareOut(rows, budget);
  const least = Math.max(
    recompute.severity === 'off' ? 0 : limit(recompute.rows),
    drift.severity === 'off' ? 0 : limit(drift.rows),
  );
  return searched.map((size) => Math.max(size, least));
}

/** Rows of a sample as a number. */
export function limit(rows: SampleRows): number {
  return rows === 'all' ? Number.POSITIVE_INFINITY : rows;
}

/** Everybody gets what they have, or an equal share of what is left when that is less. */
export function shareOut(wants: readonly number[], budget: number): number[] {
  const order = wants.map((_, at) => at).sort((a, b) => wants[a]! - wants[b]!);
  const given: number[] = wants.map(() => 0);
  let left = budget;
  order.forEach((at, served) => {
    // What is wanted is counted before; a few rows more must not make the table one that is sampled.
    const share = Math.floor(left / (order.length - served));
    given[at] = Math.min(wants[at]!, share);
    left -= given[at]!;
    if (given[at] === wants[at]) given[at] = Number.POSITIVE_INFINITY;
  });
  return given;
}
