/*
 * The text format of COPY, a chunk at a time. Fields that somebody wants stand first in each row, so only they are
 * looked at; what follows them is one untouched slice of bytes to the row's end.
 */

export const TAB = 0x09;
export const LINE_FEED = 0x0a;
export const BACKSLASH = 0x5c;
export const UPPER_N = 0x4e;

/** The bytes that COPY writes as a backslash and a letter. */
export const LETTERS: Readonly<Record<string, number>> = { b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };

/** Rows of one chunk with the leading fields taken out. Offsets are into `bytes`. */
export interface RowBlock {
  readonly bytes: Buffer;
  readonly size: number;
  /** Values of the leading fields: COPY escapes and UTF-8 undone, NULL is null. */
  readonly fields: readonly (string | null)[][];
  /** For each row, the start of each leading field and the start of what follows (1 + number of fields a row). */
  readonly starts: Int32Array;
  readonly ends: readonly number[];
}
