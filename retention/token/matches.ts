import { LetheError } from '../../errors/errors.js';
import type { Day } from './day.js';
import { PATTERNS, type PatternName, type SealPattern } from './patterns.js';
import { Revealer } from './revealer.js';
import { type Found, segments } from './scan.js';
import type { SealAllOptions, Sealer } from './sealer.js';

/** What became of the texts. */
export interface SealedMatches {
  /** Null where the text was null or refused. */
  readonly texts: readonly (string | null)[];
  /** Matches that were sealed. */
  readonly sealed: number;
  /** Tokens that were there and stay: their tag is right, or their key is gone for sure. */
  readonly kept: number;
  /** Parts that look like tokens and are none of ours: they are plain text. */
  readonly lookalikes: number;
}

/** A pattern by name, or one's own. */
export type PatternLike = PatternName | RegExp | SealPattern;

/** Seals all matches of a pattern inside one text. See `sealMatchesAll`. */
export function sealMatches(sealer: Sealer, text: string, pattern: PatternLike, day?: Day): string {
  return sealMatchesAll(sealer, [text], pattern, { day }).texts[0]!;
}

/**
 * Seals all matches of a pattern inside each of many texts, and leaves the rest of each as it is. Tokens that are there
 * already are not looked into, so it can run twice.
 *
 * Throws as `Sealer.seal` does, unless `fail` is given.
 */
export function sealMatchesAll(
  sealer: Sealer,
  texts: readonly (string | null)[],
  pattern: PatternLike,
  options: SealAllOptions = {},
): SealedMatches {
  const { keyring } = sealer;
  let lookalikes = 0;
  const tokens = segments(
    new Revealer(keyring, options.context ?? sealer.options.context),
    texts,
    undefined,
    ({ outcome }, { policy, day }) => outcome === 'value' || keyring.isGone(policy, day),
    () => lookalikes++,
  );
  const find = finder(pattern);
  const parts = texts.map((text, i) =>
    text === null ? [] : gaps(text, tokens[i]!).flatMap((gap) => find(text, gap)),
  );
  const owner = parts.flatMap((list, i) => list.map(() => i));
  const failed = new Map<number, LetheError>();
  const { day } = options;
  const sealed = sealer.sealAll(
    parts.flatMap((list, i) => list.map(({ start, end }) => texts[i]!.slice(start, end))),
    {
      ...options,
      day: Array.isArray(day) ? owner.map((i) => day[i] as Day | null) : day,
      fail: options.fail && ((part, error) => failed.set(owner[part]!, error)),
    },
  );
  for (const [i, error] of failed) options.fail?.(i, error);
  let next = 0;
  const out = texts.map((text, i) => {
    const own = sealed.slice(next, next + parts[i]!.length);
    next += own.length;
    return text === null || failed.has(i) ? null : splice(text, parts[i]!, own);
  });
  const done = parts.reduce((sum, list, i) => sum + (failed.has(i) ? 0 : list.length), 0);
  return { texts: out, sealed: done, kept: tokens.reduce((sum, list) => sum + list.length, 0), lookalikes };
}

/** The parts of a text that a pattern finds, tokens not left out. */
export function findMatches(text: string, pattern: PatternLike): string[] {
  return finder(pattern)(text, { start: 0, end: text.length }).map(({ start, end }) =>
    text.slice(start, end),
  );
}

/** A pattern as files write it: a built-in one's name, or a regular expression. */
export function patternOf(text: string): PatternName | RegExp {
  return Object.hasOwn(PATTERNS, text) ? (text as PatternName) : new RegExp(text);
}

/** What lies between tokens. */
function gaps(text: string, tokens: readonly Found[]): Found[] {
  const starts = [0, ...tokens.map(({ end }) => end)];
  const ends = [...tokens.map(({ start }) => start), text.length];
  return starts.map((start, i) => ({ start, end: ends[i]! })).filter(({ start, end }) => end > start);
}

/** Finds the matches inside a part of a text, which the pattern sees alone. */
function finder(pattern: PatternLike): (text: string, part: Found) => Found[] {
  const { regex, accepts = () => true }: SealPattern =
    typeof pattern === 'string' ? named(pattern) : pattern instanceof RegExp ? { regex: pattern } : pattern;
  const every = new RegExp(regex.source, `${regex.flags.replace(/[gyd]/g, '')}gd`);
  return (text, { start, end }) => {
    const found: Found[] = [];
    for (const match of text.slice(start, end).matchAll(every)) {
      const [from, to] = match.indices?.groups?.value ?? (match.groups ? [0, 0] : match.indices![0]!);
      if (to > from && accepts(text.slice(start + from, start + to))) {
        found.push({ start: start + from, end: start + to });
      }
    }
    return found;
  };
}

function named(name: string): SealPattern {
  if (Object.hasOwn(PATTERNS, name)) return PATTERNS[name as PatternName];
  throw new LetheError(
    'RetentionInvalid',
    `There is no pattern ${name}; there are ${Object.keys(PATTERNS).join(', ')}.`,
  );
}

function splice(text: string, parts: readonly Found[], tokens: readonly (string | null)[]): string {
  let out = '';
  let at = 0;
  for (const [i, { start, end }] of parts.entries()) {
    out += text.slice(at, start) + (tokens[i] ?? '');
    at = end;
  }
  return out + text.slice(at);
}
