import { LetheError } from '../../errors/errors.js';
import type { PathState } from '../../json/path.js';
import type { Day } from './day.js';
import { type DocumentLeaf, type FieldRule, fieldMatcher, revealLeaves, sealLeaves } from './fields.js';
import type { Revealer } from './revealer.js';
import type { SealAllOptions, Sealer } from './sealer.js';
import type { RevealTextOptions } from './text.js';

/** Deepest nesting that is looked into. */
const MAX_DEPTH = 1_000;

/**
 * Seals fields of many objects; see `sealJson`. The objects stay as they are: what changes is copied. A named field that
 * JSON does not know (a Date, a bigint, NaN) is refused.
 */
export function sealObjects<T>(
  sealer: Sealer,
  objects: readonly T[],
  fields: readonly FieldRule[],
  options: SealAllOptions = {},
): (T | null)[] {
  const root = fieldMatcher(fields);
  const refused = new Set<number>();
  const documents = objects.map((object, i) => {
    const leaves: DocumentLeaf[] = [];
    try {
      replaceLeaves(object, root, 0, (value, { path }) => {
        if (path >= 0 && value !== null && !isEmpty(value)) leaves.push(documentLeaf(value, path));
        return value;
      });
      return leaves;
    } catch (error) {
      if (!options.fail || !(error instanceof LetheError)) throw error;
      refused.add(i);
      options.fail(i, error);
      return [];
    }
  });
  const sealed = sealLeaves(sealer, documents, fields, options);
  return objects.map((object, i) => {
    const tokens = sealed[i];
    if (refused.has(i) || !tokens) return null;
    let next = 0;
    return replaceLeaves(object, root, 0, (value, { path }) => {
      if (path < 0 || value === null || isEmpty(value)) return value;
      const token = tokens[next++];
      return token === undefined ? value : token;
    }) as T;
  });
}

/** Reveals the tokens in all strings of many objects, at any depth; see `revealJson`. */
export function revealObjects<T>(
  revealer: Revealer,
  objects: readonly T[],
  options: RevealTextOptions = {},
): T[] {
  const strings: string[] = [];
  for (const object of objects) {
    replaceLeaves(object, ANYWHERE, 0, (value) => {
      if (typeof value === 'string') strings.push(value);
      return value;
    });
  }
  const revealed = revealLeaves(revealer, strings, options);
  let next = 0;
  return objects.map(
    (object) =>
      replaceLeaves(object, ANYWHERE, 0, (value) => {
        const part = typeof value === 'string' ? revealed[next++] : undefined;
        return part === undefined ? value : 'json' in part ? JSON.parse(part.json) : part.text;
      }) as T,
  );
}

export interface SealStreamOptions<T> {
  /** The UTC day of each object, or of all; default today. */
  readonly day?: Day | ((object: T) => Day | null);
  /** The label of the fields; default the sealer's. */
  readonly context?: string;
  /** Objects that are worked on together, 1 or more; default 256. None is given on before so many came, or the last. */
  readonly batch?: number;
  /** Hears of each object that cannot be sealed, which is left out. Default: the first one throws. */
  readonly fail?: (object: T, error: LetheError) => void;
}

/** Seals fields of a stream of objects, in order; memory does not grow with its length. */
export async function* sealStream<T>(
  sealer: Sealer,
  objects: AsyncIterable<T> | Iterable<T>,
  fields: readonly FieldRule[],
  options: SealStreamOptions<T> = {},
): AsyncGenerator<T> {
  const { day, fail, context } = options;
  for await (const batch of batches(objects, options.batch)) {
    const sealed = sealObjects(sealer, batch, fields, {
      context,
      day: typeof day === 'function' ? batch.map(day) : day,
      fail: fail && ((i, error) => fail(batch[i]!, error)),
    });
    for (const object of sealed) if (object !== null) yield object;
  }
}

/** Reveals the tokens in a stream of objects, in order; memory does not grow with its length. */
export async function* revealStream<T>(
  revealer: Revealer,
  objects: AsyncIterable<T> | Iterable<T>,
  options: RevealTextOptions & { readonly batch?: number } = {},
): AsyncGenerator<T> {
  for await (const batch of batches(objects, options.batch)) yield* revealObjects(revealer, batch, options);
}

async function* batches<T>(objects: AsyncIterable<T> | Iterable<T>, size = 256): AsyncGenerator<T[]> {
  if (!Number.isInteger(size) || size < 1)
    throw new LetheError('RetentionInvalid', 'batch is a number of objects, 1 or more.');
  let batch: T[] = [];
  for await (const object of objects) {
    if (batch.push(object) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** A state without paths: every leaf is alike. */
const ANYWHERE: PathState = { path: -1, below: -1, child: () => ANYWHERE };

/**
 * Gives every leaf (all that is no array or plain object with members) to `replace`, and puts what it returns in its
 * place; what has no changed leaf stays the same object.
 */
function replaceLeaves(
  value: unknown,
  state: PathState,
  depth: number,
  replace: (value: unknown, state: PathState) => unknown,
): unknown {
  if (depth > MAX_DEPTH)
    throw new LetheError('SealRefused', `A document is nested deeper than ${MAX_DEPTH} levels.`);
  if (Array.isArray(value) && value.length > 0) {
    const items = value.map((item, i) => replaceLeaves(item, state.child(i), depth + 1, replace));
    return items.every((item, i) => item === value[i] || Object.is(item, value[i])) ? value : items;
  }
  if (!isPlain(value)) return replace(value, state);
  const entries = Object.entries(value);
  if (entries.length === 0) return replace(value, state);
  let changed = false;
  const members = entries.map(([name, member]): [string, unknown] => {
    const other = replaceLeaves(member, state.child(name), depth + 1, replace);
    changed ||= !Object.is(other, member);
    return [name, other];
  });
  return changed ? Object.fromEntries(members) : value;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) || isPlain(value);
}

function documentLeaf(value: unknown, rule: number): DocumentLeaf {
  if (typeof value === 'string') return { rule, isString: true, value };
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)))
    return { rule, isString: false, value: JSON.stringify(value) };
  throw new LetheError('SealRefused', `A field is of type ${typeof value}, which JSON does not know.`);
}
