/** Values by what became of them. In-string and JSON columns count texts and documents, not their parts. */
export interface ExistingCounts {
  /** Sealed now, or, in a dry run, to be sealed. */
  readonly sealed: number;
  /** Dated a day that is over, and replaced now. */
  readonly redacted: number;
  /** Dated a day that is over: still plain. */
  readonly expired: number;
  /** Dated a day that is over and that a legal hold keeps: still plain, whatever was asked for. */
  readonly held: number;
  /** Plain, since their row has no date, or one that no token can name. */
  readonly undated: number;
  /** Plain, since there is no key for their day, which lies in the future. */
  readonly noKey: number;
  /** Plain, since no token can hold them. */
  readonly refused: number;
  /** Parts that look like tokens and are none of ours: plain text. */
  readonly lookalikes: number;
}

export const NO_COUNTS: ExistingCounts = {
  ...{ sealed: 0, redacted: 0, expired: 0, held: 0, undated: 0, noKey: 0, refused: 0, lookalikes: 0 },
};

/**
 * Stands among the counts of columns for a part of a table, counting nothing, where it was not done at the first attempt: what an
 * earlier one sealed without a word of it is not counted. No column has this name, and workers of an earlier version add nothing up.
 */
export const RESUMED = '';

/** Counts that an earlier version wrote may lack some. */
export function addCounts(a: ExistingCounts, b: ExistingCounts): ExistingCounts {
  const names = Object.keys(NO_COUNTS) as (keyof ExistingCounts)[];
  return Object.fromEntries(
    names.map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]),
  ) as unknown as ExistingCounts;
}
