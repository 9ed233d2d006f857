import { LetheError } from '../../errors/errors.js';
import type { Policy, PolicyChoice } from '../keys/policy.js';
import type { Day } from '../token/day.js';
import type { PatternLike } from '../token/matches.js';
import { PATTERNS, type PatternName } from '../token/patterns.js';

export type FilterFormat = 'jsonl' | 'csv' | 'text';

/** What a filter does to each line; plain data, so that threads can have it. */
export interface FilterSettings {
  readonly what: 'seal' | 'reveal';
  readonly format: FilterFormat;
  /** Policies by id: those to seal with, or all whose tokens may come. */
  readonly policies: Readonly<Record<string, Policy>>;
  /** Seal: which of them, by field of the line where wanted. */
  readonly choice?: PolicyChoice;
  /** JSONPaths (`client.ip` is short for `$.client.ip`), or names of CSV columns. Reveal: none means every field. */
  readonly fields: readonly string[];
  /** Seal: names of patterns or `/expression/flags`, one after the other; none seals whole values. */
  readonly patterns: readonly string[];
  /** Seal: the day of all lines. Default: that of `dateField`, or today. */
  readonly day?: Day;
  /** Seal: JSONPath or CSV column of a line's time. */
  readonly dateField?: string;
  /** Label for all; default that of each policy. */
  readonly context?: string;
  /** CSV: one character. */
  readonly delimiter: string;
  /** CSV: the first record names the columns; without it they are called 1, 2, 3, … */
  readonly header: boolean;
}

/** A path as `json/path.ts` reads it. */
export function jsonPath(field: string): string {
  return field.startsWith('$') ? field : `$.${field}`;
}

/** Throws `RetentionInvalid` where a pattern is neither a name nor `/expression/flags`. */
export function readPattern(text: string): PatternLike {
  if (Object.hasOwn(PATTERNS, text)) return text as PatternName;
  const [, source, flags] = /^\/([\s\S]+)\/([a-z]*)$/.exec(text) ?? [];
  const names = Object.keys(PATTERNS).join(', ');
  if (source === undefined)
    throw new LetheError(
      'RetentionInvalid',
      `There is no pattern ${text}: give one of ${names}, or an expression as /…/.`,
    );
  try {
    return new RegExp(source, flags);
  } catch {
    throw new LetheError('RetentionInvalid', `The pattern ${text} is no regular expression.`);
  }
}
