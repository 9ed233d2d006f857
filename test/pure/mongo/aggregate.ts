import vm from 'node:vm';
import { aggregate, Context } from 'mingo';
import { evalExpr } from 'mingo/core';
import { BSON, type Document, ObjectId } from 'mongodb';

/*
 * Runs the pipelines of pushdown in this process: mingo has the expressions and stages; what it does not know are BSON's
 * types, which stand here. Functions run in an engine that has the language alone: no Node, no Intl, no normalize.
 */

/** The type of a decoded value; whole numbers are int or long, as the tests' documents have them. */
export function typeOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return 'double';
    return value === (value | 0) ? 'int' : 'long';
  }
  if (typeof value === 'boolean') return 'bool';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Date) return 'date';
  if (value instanceof RegExp) return 'regex';
  const named = (value as { _bsontype?: string })._bsontype;
  if (named === 'ObjectId') return 'objectId';
  if (named === 'Decimal128') return 'decimal';
  if (named !== undefined) return 'binData';
  return typeof value === 'string' ? 'string' : 'object';
}

type Operator = (document: never, expression: never, options: never) => unknown;

/** mingo gives an operator its argument as it is written: these read it first. */
function evaluated(operator: (value: never) => unknown): Operator {
  return (document, expression, options) => operator(evalExpr(document, expression, options) as never);
}

const OPERATORS = {
  $bsonType: evaluated(typeOf),
  $textOf: evaluated((value: unknown) => (value === null || value === undefined ? null : String(value))),
  $bsonConvert: evaluated(({ input, to, onError }: Record<string, unknown>) => {
    if (input === null || input === undefined) return null;
    const text = String(input);
    switch (to) {
      case 'int':
        return /^-?\d+$/.test(text) && Number(text) === (Number(text) | 0) ? Number(text) : onError;
      case 'long':
        return /^-?\d{1,19}$/.test(text) ? Number(text) : onError;
      case 'double':
        return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : onError;
      case 'objectId':
        return /^[0-9a-f]{24}$/.test(text) ? new ObjectId(text) : onError;
      default:
        return onError;
    }
  }),
};

const RENAMED: Readonly<Record<string, string>> = {
  $type: '$bsonType',
  $toString: '$textOf',
  $convert: '$bsonConvert',
};

const functions = new Map<string, (...values: unknown[]) => unknown>();

/** A function of its own realm, from its text. */
export function serverFunction(body: string): (...values: unknown[]) => unknown {
  const known = functions.get(body);
  if (known) return known;
  const realm = vm.createContext(Object.create(null));
  vm.runInContext('delete globalThis.Intl; delete String.prototype.normalize;', realm);
  const made = vm.runInContext(`(${body})`, realm) as (...values: unknown[]) => unknown;
  functions.set(body, made);
  return made;
}

function prepared(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(prepared);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key === '$literal') return [key, inner];
      if (key === 'into') return [key, (inner as { coll: string }).coll];
      if (key === 'body' && typeof inner === 'string') return [key, serverFunction(inner)];
      return [RENAMED[key] ?? key, prepared(inner)];
    }),
  );
}

/** What the last stage gives, and what a `$merge` wrote. */
export function runPipeline(documents: readonly Document[], pipeline: readonly object[]) {
  const written: Document[] = [];
  const given = aggregate([...documents], prepared(pipeline) as Document[], {
    context: Context.init().addExpressionOps(OPERATORS as never),
    collectionResolver: () => written,
  });
  return { given, written };
}

/** A document as mingo sees it. */
export function plain(raw: Uint8Array): Document {
  return BSON.deserialize(raw, { promoteValues: true, promoteLongs: true });
}
