import { timed } from './timed.js';
import type { Column } from './transformer.js';

/** A part of a value that a pattern found; never empty. */
export interface Match {
  readonly start: number;
  readonly end: number;
  /** Index of the pattern. */
  readonly pattern: number;
}

/** A pattern with the flags `g` and `d`, and the group that counts (0: the whole match). */
export interface Pattern {
  readonly regex: RegExp;
  readonly group: number;
}

/**
 * All matches of a column: of each value those of the first pattern, then those of the second that touch none of them, …
 *
 * @param milliseconds Longest time for one value; a value that takes longer, or more memory than the
 * engine has for one search, has undefined instead of matches.
 */
export function findAll(
  values: Column,
  patterns: readonly Pattern[],
  milliseconds: number,
): (readonly Match[] | undefined)[] {
  const found: (readonly Match[] | undefined)[] = values.map(() => undefined);
  let row = 0;
  const search = () => {
    for (; row < values.length; row++) found[row] = find(values[row] ?? '', patterns);
  };
  while (row < values.length) {
    const from = row;
    // Only a value that had all the time for itself has used it up.
    if (!attempt(search, milliseconds) && row === from) row++;
  }
  return found;
}

function attempt(search: () => void, milliseconds: number): boolean {
  try {
    return timed(search, milliseconds) !== undefined;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function find(value: string, patterns: readonly Pattern[]): readonly Match[] {
  let taken: readonly Match[] = [];
  for (const [pattern, { regex, group }] of patterns.entries()) {
    const found: Match[] = [];
    for (const match of value.matchAll(regex)) {
      const [start, end] = match.indices?.[group] ?? [0, 0];
      if (end > start) found.push({ start, end, pattern });
    }
    taken = merge(taken, found);
  }
  return taken;
}

/** Both lists are in order and without overlaps; so is the result, which has all of `taken`. */
function merge(taken: readonly Match[], found: readonly Match[]): readonly Match[] {
  if (taken.length === 0) return found;
  const out: Match[] = [];
  let next = 0;
  for (const match of found) {
    while (next < taken.length && taken[next]!.end <= match.start) out.push(taken[next++]!);
    if (next === taken.length || taken[next]!.start >= match.end) out.push(match);
  }
  return [...out, ...taken.slice(next)];
}
