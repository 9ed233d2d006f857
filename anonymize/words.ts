import type { Draw } from './generate.js';
import { valueList } from './value-lists.js';

/** Characters that hold 100 keyed bits. */
export const WIDE_TAG = 20;

/** Makes the part of an address or a user name that tells people apart. */
export interface WordMaker {
  /** `quiet.otter` and 16 characters: 98 keyed bits in all, at most `wideLength` characters. */
  wide(draw: Draw): string;
  readonly wideLength: number;
  /** `quiet.otter41`, at most `shortLength` characters: no two people are told apart for sure. */
  short(draw: Draw): string;
  readonly shortLength: number;
}

/** Words of a list that are used: a word is nine bits then. */
const WORDS = 512;

/** @param separator Between the words. */
export function wordMaker(version: number, separator: string): WordMaker {
  const adjectives = evenly(valueList(`adjective.v${version}`)).map((word) => word + separator);
  const nouns = evenly(valueList(`noun.v${version}`));
  const separated = nouns.map((word) => word + separator);
  const words = (draw: Draw, seconds: readonly string[]): string => {
    const word = draw.word(0) + draw.step;
    return adjectives[word & (WORDS - 1)]! + seconds[(word >>> 9) & (WORDS - 1)]!;
  };
  const most = longest(adjectives) + longest(nouns);
  return {
    wide: (draw) => words(draw, separated) + draw.tag(8),
    wideLength: most + separator.length + 16,
    short: (draw) => words(draw, nouns) + (draw.word(1) % 100),
    shortLength: most + 2,
  };
}

/** Names of the value lists behind it. */
export function wordLists(version: number): string[] {
  return [`adjective.v${version}`, `noun.v${version}`];
}

/** 512 entries from all over a sorted list. */
function evenly(entries: readonly string[]): string[] {
  return Array.from({ length: WORDS }, (_, i) => entries[Math.floor((i * entries.length) / WORDS)]!);
}

function longest(entries: readonly string[]): number {
  return Math.max(...entries.map(({ length }) => length));
}
