import { LetheError } from '../../errors/errors.js';
import { matcher, type PathState, parsePath } from '../../json/path.js';
import type { Day } from './day.js';
import { MAX_CONTEXT, parseToken } from './format.js';
import { type PatternLike, sealMatchesAll } from './matches.js';
import { type Revealed, Revealer } from './revealer.js';
import type { SealAllOptions, Sealer } from './sealer.js';
import { markerFor, type RevealTextOptions, revealTexts } from './text.js';

/** Which leaves of a document are sealed. */
export interface FieldRule {
  /** `$.client.ip`, `$.tags[*]`, `$..email`: every leaf there and below. The first rule that fits a leaf counts. */
  readonly path: string;
  /** Seals matches inside strings only; default the whole leaf, of any type. */
  readonly pattern?: PatternLike;
}

/** A leaf that rules name: a string's characters, or the compact JSON text of a number or boolean. */
export interface DocumentLeaf {
  readonly rule: number;
  readonly isString: boolean;
  readonly value: string;
}

/** Reads the rules' paths; throws `RetentionInvalid` naming the first that cannot be read. */
export function fieldMatcher(fields: readonly FieldRule[]): PathState {
  return matcher(
    fields.map(({ path }) => {
      const steps = parsePath(path);
      if (typeof steps === 'string') throw new LetheError('RetentionInvalid', `Path ${path}: ${steps}.`);
      return steps;
    }),
  );
}

/** The label of leaves that are no strings, so that who reveals knows to give their type back. */
function typedContext(context: string): string {
  if (Buffer.byteLength(context) + 5 > MAX_CONTEXT)
    throw new LetheError(
      'RetentionInvalid',
      `The context of JSON fields has at most ${MAX_CONTEXT - 5} bytes.`,
    );
  return `${context}#json`;
}

/**
 * Seals the leaves of many documents, together. A leaf that is a token of ours already stays.
 *
 * @returns Of each document the new strings of its leaves, undefined where a leaf stays, null where nothing is left of it;
 *   null where the document was refused.
 */
export function sealLeaves(
  sealer: Sealer,
  documents: readonly (readonly DocumentLeaf[])[],
  fields: readonly FieldRule[],
  options: SealAllOptions,
): ((string | null | undefined)[] | null)[] {
  const context = options.context ?? sealer.options.context ?? '';
  const out: ((string | null | undefined)[] | null)[] = documents.map((leaves) =>
    leaves.map(() => undefined),
  );
  const failed = new Map<number, LetheError>();
  const known = ownTokens(sealer, documents.flat(), context);

  /** Seals the leaves that `takes` takes, in one go. */
  function seal(
    takes: (leaf: DocumentLeaf) => boolean,
    work: (values: string[], options: SealAllOptions) => readonly (string | null)[],
    label: string,
  ): void {
    const places = documents.flatMap((leaves, document) =>
      leaves.flatMap((leaf, slot) => (takes(leaf) && !known.has(leaf) ? [{ document, slot, leaf }] : [])),
    );
    if (places.length === 0) return;
    const sealed = work(
      places.map(({ leaf }) => leaf.value),
      {
        context: label,
        expired: options.expired,
        day: Array.isArray(options.day)
          ? places.map(({ document }) => (options.day as readonly (Day | null)[])[document] ?? null)
          : options.day,
        fail: options.fail && ((i, error) => failed.set(places[i]!.document, error)),
      },
    );
    for (const [i, { document, slot }] of places.entries()) out[document]![slot] = sealed[i]!;
  }

  const whole = ({ rule }: DocumentLeaf) => fields[rule]!.pattern === undefined;
  seal(
    (leaf) => whole(leaf) && leaf.isString,
    (values, given) => sealer.sealAll(values, given),
    context,
  );
  const typed = (leaf: DocumentLeaf) => whole(leaf) && !leaf.isString;
  if (documents.some((leaves) => leaves.some(typed)))
    seal(typed, (values, given) => sealer.sealAll(values, given), typedContext(context));
  for (const [rule, { pattern }] of fields.entries()) {
    if (pattern === undefined) continue;
    const takes = (leaf: DocumentLeaf) => leaf.rule === rule && leaf.isString;
    seal(takes, (values, given) => sealMatchesAll(sealer, values, pattern, given).texts, context);
  }
  for (const document of failed.keys()) out[document] = null;
  for (const [document, error] of failed) options.fail?.(document, error);
  return out;
}

/** Leaves that are tokens of ours already, or whose key is gone for sure. */
function ownTokens(sealer: Sealer, leaves: readonly DocumentLeaf[], context: string): Set<DocumentLeaf> {
  const { keyring } = sealer;
  const candidates = leaves.flatMap((leaf) => {
    const token = leaf.isString ? parseToken(leaf.value) : undefined;
    return token ? [{ leaf, token }] : [];
  });
  if (candidates.length === 0) return new Set();
  const opened = openEither(
    new Revealer(keyring, context),
    candidates.map(({ leaf }) => leaf.value),
    context,
  );
  const ours = candidates.filter(
    ({ token: { policy, day } }, i) => opened[i]!.revealed.outcome === 'value' || keyring.isGone(policy, day),
  );
  return new Set(ours.map(({ leaf }) => leaf));
}

/** Opens tokens as strings or, where that fails, as leaves of another type. */
function openEither(
  revealer: Revealer,
  tokens: readonly string[],
  context: string,
): { readonly revealed: Revealed; readonly typed: boolean }[] {
  const out = revealer.openAll(tokens, context).map((revealed) => ({ revealed, typed: false }));
  const again = out.flatMap(({ revealed }, i) => (revealed.outcome === 'tampered' ? [i] : []));
  if (again.length === 0 || Buffer.byteLength(context) + 5 > MAX_CONTEXT) return out;
  const opened = revealer.openAll(
    again.map((i) => tokens[i]!),
    typedContext(context),
  );
  for (const [j, i] of again.entries())
    out[i] = { revealed: opened[j]!, typed: opened[j]!.outcome === 'value' };
  return out;
}

/** What a string leaf becomes: another string, or the JSON text of any value. */
export type RevealedLeaf = { readonly text: string } | { readonly json: string };

/**
 * Reveals the tokens in many strings that are values of documents. A string that is one token takes back the type that
 * the leaf had; where nothing is to be shown it becomes JSON null.
 *
 * @returns Undefined where a string stays.
 */
export function revealLeaves(
  revealer: Revealer,
  strings: readonly string[],
  options: RevealTextOptions,
): (RevealedLeaf | undefined)[] {
  const context = options.context ?? revealer.context;
  const takes = options.takes ?? (() => true);
  const tokens = strings.map((text) => parseToken(text));
  const wholes = strings.flatMap((_, i) => (tokens[i] && takes(tokens[i].policy) ? [i] : []));
  const parts = strings.flatMap((text, i) => (!tokens[i] && text.includes('1.') ? [i] : []));
  const out: (RevealedLeaf | undefined)[] = strings.map(() => undefined);

  const marker = markerFor(options);
  const opened = openEither(
    revealer,
    wholes.map((i) => strings[i]!),
    context,
  );
  for (const [j, i] of wholes.entries()) {
    let { revealed, typed } = opened[j]!;
    if (typed && !isJson(revealed.text)) [revealed, typed] = [{ outcome: 'tampered' }, false];
    if (revealed.outcome !== 'notToken') options.count?.(revealed.outcome);
    const text = marker(revealed, tokens[i]!);
    out[i] = text === null ? { json: 'null' } : typed ? { json: text } : { text };
  }
  const revealed = revealTexts(
    revealer,
    parts.map((i) => strings[i]!),
    { ...options, context },
  );
  for (const [j, i] of parts.entries()) if (revealed[j] !== strings[i]) out[i] = { text: revealed[j] ?? '' };
  return out;
}

function isJson(text: string | undefined): boolean {
  try {
    return text !== undefined && JSON.parse(text) !== undefined;
  } catch {
    return false;
  }
}
