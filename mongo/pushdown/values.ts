import { getTransformer } from '../../anonymize/registry.js';
import type { TransformerSpec } from '../../anonymize/transformer.js';
import { TYPE_NAMES } from '../documents/bson.js';
import type { TargetRule } from '../documents/target.js';
import type { BsonType } from '../documents/types.js';
import { driver } from '../driver.js';
import { functionText, hasSource, userFunctionText } from './library.js';
import { UNABLE } from './runtime/server.js';

/** An expression of the aggregation language. */
export type Expression = unknown;

/** What a server makes of the values of one type under one rule. */
export type ServerValue = OnServer | InWorker;

export interface OnServer {
  readonly at: 'server';
  /** From the expression of a value to that of what becomes of it. */
  make(value: string): Expression;
  /** The values that it may be asked for; absent: all. */
  readonly takes?: (value: string) => Expression;
  /** It may give `UNABLE` instead. */
  readonly mayFail: boolean;
  readonly uses?: 'function' | 'key';
}

/** Documents that have such a value are left to the worker. */
export interface InWorker {
  readonly at: 'worker';
  /** Half a sentence. */
  readonly reason: string;
}

export interface ServerKeys {
  /** Key of a domain, hex, as it is written into a function. */
  key(domain: string): string;
  readonly allowKeyOnServer: boolean;
}

const worker = (reason: string): InWorker => ({ at: 'worker', reason });

/** Says how a server does what a target does, natively where the language has it. */
export function serverValue(rule: TargetRule, keys: ServerKeys): ServerValue {
  const { spec, columnType } = rule;
  const type = TYPE_NAMES.get(rule.type)!;
  const output = TYPE_NAMES.get(rule.output)!;
  const options = getTransformer(spec.name).options.parse(spec.options) as Record<string, unknown>;
  const native = nativeValue(type, output, { name: spec.name, options });
  if (native) return native;
  const needs = getTransformer(spec.name).needs?.(options) ?? [];
  if (needs.length > 0) return worker(`${spec.name} reads other fields besides`);
  const read = READ[type];
  const write = WRITTEN.includes(output);
  if (!read || !write) return worker(`a server hands ${type} to no function unchanged`);
  if (spec.name === 'js') return ofUser(rule, type, String(options.code), keys);
  if (!hasSource(spec.name)) return worker(`${spec.name} works in the worker only`);
  const keyed = isKeyed({ name: spec.name, options });
  if (keyed && !keys.allowKeyOnServer) return worker(needsKey(spec.name));
  const body = functionText({
    ...{ name: spec.name, options, type: columnType },
    lists: getTransformer(spec.name).lists?.(options) ?? [],
    ...(keyed && { key: keys.key(rule.domain) }),
  });
  return {
    at: 'server',
    make: (value) => converted({ $function: { body, args: [read(value)], lang: 'js' } }, output),
    mayFail: true,
    uses: keyed ? 'key' : 'function',
  };
}

function needsKey(name: string): string {
  return `${name} needs the key on the server; allowKeyOnServer: true says that it may be there`;
}

function ofUser(rule: TargetRule, type: BsonType, code: string, keys: ServerKeys): ServerValue {
  if (type !== 'string' || rule.output !== rule.type) return worker('js on the server takes texts');
  const keyed = /\b(?:random|hash)\b/.test(code);
  if (keyed && !keys.allowKeyOnServer) return worker(needsKey('js with random or hash'));
  const body = userFunctionText(code, keyed ? keys.key(rule.domain) : undefined);
  return {
    at: 'server',
    make: (value) => ({ $function: { body, args: [value], lang: 'js' } }),
    mayFail: true,
    uses: keyed ? 'key' : 'function',
  };
}

function isKeyed({ name, options }: TransformerSpec): boolean {
  if (name === 'mask') return false;
  return !(name === 'range' || name === 'dateTruncate') || options.onInvalid === 'scramble';
}

/** How a function is handed a value, so that it reads the text that a worker reads. */
const READ: Partial<Record<BsonType, (value: string) => Expression>> = {
  string: (value) => value,
  int: (value) => value,
  double: (value) => value,
  date: (value) => value,
  long: (value) => ({ $toString: value }),
  objectId: (value) => ({ $toString: value }),
  bool: (value) => ({ $toString: value }),
};

const WRITTEN: readonly BsonType[] = ['string', 'int', 'long', 'double', 'objectId'];

/** A text back to its type; what is none of it is left to the worker. */
function converted(input: Expression, to: BsonType): Expression {
  return to === 'string' ? input : { $convert: { input, to, onError: { $literal: UNABLE }, onNull: null } };
}

/** First and last millisecond of the years that workers read. */
const FIRST = new Date(-62_135_596_800_000);
const LAST = new Date(253_402_300_799_999);

function nativeValue(
  type: BsonType,
  output: BsonType,
  { name, options }: TransformerSpec,
): OnServer | undefined {
  if (name === 'constant') return constant(output, String(options.value));
  if (name === 'mask' && type === 'string' && options.with !== 'class') return mask(options);
  if (name === 'range' && type === 'int' && output === 'int') return range(options);
  if (name !== 'dateTruncate' || type !== 'date' || output !== 'date') return undefined;
  return {
    at: 'server',
    make: (date) => ({ $dateTrunc: { date, unit: options.to, startOfWeek: 'monday' } }),
    takes: (date) => ({ $and: [{ $gte: [date, FIRST] }, { $lte: [date, LAST] }] }),
    mayFail: false,
  };
}

function constant(type: BsonType, text: string): OnServer | undefined {
  const made = literal(type, text);
  if (made === undefined) return undefined;
  return { at: 'server', make: () => ({ $literal: made }), mayFail: false };
}

function literal(type: BsonType, text: string): unknown {
  const { Double, Int32, Long, ObjectId } = driver();
  switch (type) {
    case 'string':
      return text;
    case 'int':
      return /^-?\d{1,9}$/.test(text) ? new Int32(Number(text)) : undefined;
    case 'long':
      return /^-?\d{1,18}$/.test(text) ? Long.fromString(text) : undefined;
    case 'double':
      return new Double(Number(text));
    case 'bool':
      return text === 't' || text === 'true';
    case 'objectId':
      return new ObjectId(text);
    default:
      return undefined;
  }
}

function mask(options: Readonly<Record<string, unknown>>): OnServer {
  const first = Number(options.keepFirst);
  const last = Number(options.keepLast);
  const marks = (count: Expression) => ({
    $reduce: {
      input: { $range: [0, count] },
      initialValue: '',
      in: { $concat: ['$$value', { $literal: String(options.with) }] },
    },
  });
  return {
    at: 'server',
    make: (value) => ({
      $let: {
        vars: { n: { $strLenCP: value } },
        in: {
          $cond: [
            { $lte: ['$$n', first + last] },
            marks('$$n'),
            {
              $concat: [
                { $substrCP: [value, 0, first] },
                marks({ $subtract: ['$$n', first + last] }),
                { $substrCP: [value, { $subtract: ['$$n', last] }, last] },
              ],
            },
          ],
        },
      },
    }),
    mayFail: false,
  };
}

/** Integers of 32 bits, where neither the arithmetic nor a limit of the type gets in the way. */
function range(options: Readonly<Record<string, unknown>>): OnServer | undefined {
  const [size, start] = [String(options.size), String(options.start)];
  if (!/^\d{1,9}$/.test(size) || !/^-?\d{1,9}$/.test(start)) return undefined;
  const far = 1_000_000_000;
  const rest = (value: string) => ({ $mod: [{ $subtract: [value, Number(start)] }, Number(size)] });
  return {
    at: 'server',
    make: (value) => ({
      $let: {
        vars: { rest: rest(value) },
        in: {
          $toInt: {
            $subtract: [
              value,
              { $cond: [{ $lt: ['$$rest', 0] }, { $add: ['$$rest', Number(size)] }, '$$rest'] },
            ],
          },
        },
      },
    }),
    takes: (value) => ({ $and: [{ $gt: [value, -far] }, { $lt: [value, far] }] }),
    mayFail: false,
  };
}
