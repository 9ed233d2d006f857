import { LetheError } from '../../errors/errors.js';
import { matcher } from '../../json/path.js';
import { JsonMistake, type Leaf, scanLeaves, unquote } from '../../json/text.js';
import { type DocumentLeaf, type FieldRule, fieldMatcher, revealLeaves, sealLeaves } from './fields.js';
import type { Revealer } from './revealer.js';
import type { SealAllOptions, Sealer } from './sealer.js';
import type { RevealTextOptions } from './text.js';

export interface SealJsonOptions extends SealAllOptions {
  /** Leaves that are this string stay. Default: none. */
  readonly stays?: string;
}

/** Any leaf; nothing is named. */
const ANYWHERE = matcher([]);

/**
 * Seals leaves of many JSON texts. Each named leaf becomes one string, its token; JSON null and empty objects and arrays
 * stay, and so does every other character: digits of numbers, order and blanks.
 *
 * A text that is not JSON, or has a leaf that cannot be sealed, goes to `fail` and becomes null; without `fail` it throws
 * `SealRefused`.
 */
export function sealJson(
  sealer: Sealer,
  texts: readonly (string | null)[],
  fields: readonly FieldRule[],
  options: SealJsonOptions = {},
): (string | null)[] {
  const { stays } = options;
  const root = fieldMatcher(fields);
  const named = (text: string, { kind, path, start, end }: Leaf) =>
    path >= 0 &&
    kind !== 'null' &&
    kind !== 'empty' &&
    !(kind === 'string' && stays !== undefined && unquote(text, start, end) === stays);
  const leavesOf = (text: string) => scanLeaves(text, root).filter((leaf) => named(text, leaf));
  const { leaves, failed } = scanAll(texts, leavesOf, options.fail);
  const documents = leaves.map((list, i) =>
    list.map(({ kind, path, start, end }): DocumentLeaf => {
      const isString = kind === 'string';
      return {
        rule: path,
        isString,
        value: isString ? unquote(texts[i]!, start, end) : texts[i]!.slice(start, end),
      };
    }),
  );
  const sealed = sealLeaves(sealer, documents, fields, options);
  return texts.map((text, i) => {
    const tokens = sealed[i];
    if (text === null || failed.has(i) || !tokens) return null;
    return splice(
      text,
      leaves[i]!,
      tokens.map((token) => (token === undefined ? undefined : JSON.stringify(token))),
    );
  });
}

export interface RevealJsonOptions extends RevealTextOptions {
  /** JSONPaths of the strings to look into, and of those below them; default all. */
  readonly paths?: readonly string[];
}

/**
 * Reveals the tokens in the strings of many JSON texts: values only, not names of members. A string that is one token of
 * a number or boolean becomes that again; one that cannot be read its marker, or JSON null.
 *
 * @param fail Hears of texts that are not JSON, which become null; default the first one throws `SealRefused`.
 */
export function revealJson(
  revealer: Revealer,
  texts: readonly (string | null)[],
  options: RevealJsonOptions = {},
  fail?: (index: number, error: LetheError) => void,
): (string | null)[] {
  const { paths } = options;
  const root = paths ? fieldMatcher(paths.map((path) => ({ path }))) : ANYWHERE;
  const looksInto = ({ kind, path }: Leaf) => kind === 'string' && (!paths || path >= 0);
  const { leaves, failed } = scanAll(texts, (text) => scanLeaves(text, root).filter(looksInto), fail);
  const strings = leaves.flatMap((list, i) => list.map(({ start, end }) => unquote(texts[i]!, start, end)));
  const revealed = revealLeaves(revealer, strings, options);
  let next = 0;
  return texts.map((text, i) => {
    const parts = leaves[i]!.map(() => {
      const part = revealed[next++];
      return part && ('json' in part ? part.json : JSON.stringify(part.text));
    });
    return text === null || failed.has(i) ? null : splice(text, leaves[i]!, parts);
  });
}

function scanAll(
  texts: readonly (string | null)[],
  scan: (text: string) => Leaf[],
  fail: SealAllOptions['fail'],
): { readonly leaves: readonly (readonly Leaf[])[]; readonly failed: ReadonlySet<number> } {
  const failed = new Set<number>();
  const leaves = texts.map((text, i) => {
    try {
      return text === null ? [] : scan(text);
    } catch (mistake) {
      if (!(mistake instanceof JsonMistake)) throw mistake;
      const error = new LetheError('SealRefused', `A document cannot be read: ${mistake.message}.`);
      if (!fail) throw error;
      failed.add(i);
      fail(i, error);
      return [];
    }
  });
  return { leaves, failed };
}

function splice(text: string, leaves: readonly Leaf[], parts: readonly (string | undefined)[]): string {
  let out = '';
  let at = 0;
  for (const [i, { start, end }] of leaves.entries()) {
    const part = parts[i];
    if (part === undefined) continue;
    out += text.slice(at, start) + part;
    at = end;
  }
  return out + text.slice(at);
}
