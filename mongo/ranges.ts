import type { Document, Filter } from 'mongodb';
import { BSON } from './documents/bson.js';
import { driver } from './driver.js';
import { idFromText, idText, idValue, type RawId } from './ids.js';

/**
 * Values that MongoDB compares with each other. A query by range stays inside of one bracket, so a partition does too;
 * `rest` holds what no bracket does (code, pointers), and is not cut.
 */
export type Bracket =
  | 'minKey'
  | 'null'
  | 'nan'
  | 'number'
  | 'string'
  | 'object'
  | 'binary'
  | 'objectId'
  | 'bool'
  | 'date'
  | 'timestamp'
  | 'maxKey'
  | 'rest';

/** Half-open range of `_id` inside of a bracket; `from` included, `to` excluded, null open. */
export interface IdRange {
  readonly bracket: Bracket;
  readonly from: RawId | null;
  readonly to: RawId | null;
}

/** The farthest that a JavaScript date goes from 1970. */
const MOST_MILLISECONDS = 8.64e15;

/** The whole of each bracket, in the order in which MongoDB sorts them. */
const WHOLE: readonly (readonly [Bracket, () => Document])[] = [
  ['minKey', () => ({ $in: [new (driver().MinKey)()] })],
  ['null', () => ({ $in: [null] })],
  ['nan', () => ({ $in: [Number.NaN] })],
  ['number', () => ({ $gte: Number.NEGATIVE_INFINITY })],
  ['string', () => ({ $gte: '' })],
  ['object', () => ({ $gte: {} })],
  ['binary', () => ({ $gte: new (driver().Binary)(Buffer.alloc(0), 0) })],
  ['objectId', () => ({ $gte: new (driver().ObjectId)('000000000000000000000000') })],
  ['bool', () => ({ $in: [false, true] })],
  // Both sides of 1970, as far as a JavaScript date goes; what lies beyond is in `rest`.
  ['date', () => ({ $gte: new Date(-MOST_MILLISECONDS), $lte: new Date(MOST_MILLISECONDS) })],
  ['timestamp', () => ({ $gte: new (driver().Timestamp)({ t: 0, i: 0 }) })],
  ['maxKey', () => ({ $in: [new (driver().MaxKey)()] })],
];

export const BRACKETS: readonly Bracket[] = [...WHOLE.map(([bracket]) => bracket), 'rest'];

/** Brackets that hold a handful of values at most and are never cut. */
export const UNCUT: ReadonlySet<Bracket> = new Set(['minKey', 'null', 'nan', 'bool', 'maxKey', 'rest']);

/**
 * The bracket of an `_id`; undefined where only the server can tell, since not all of its type are in one bracket or its
 * type compares with another.
 */
export function bracketOf(id: RawId): Bracket | undefined {
  const bytes = Buffer.from(id.buffer, id.byteOffset, id.byteLength);
  switch (id[0]) {
    case BSON.double:
      return Number.isNaN(bytes.readDoubleLE(1)) ? 'nan' : 'number';
    case BSON.decimal:
      return (bytes[16]! & 0x7c) === 0x7c ? 'nan' : 'number';
    case BSON.date: {
      const milliseconds = Number(bytes.readBigInt64LE(1));
      return Math.abs(milliseconds) <= MOST_MILLISECONDS ? 'date' : undefined;
    }
    default:
      return BRACKET_OF_TYPE.get(id[0]!);
  }
}

const BRACKET_OF_TYPE: ReadonlyMap<number, Bracket> = new Map([
  [BSON.minKey, 'minKey'],
  [BSON.null, 'null'],
  [BSON.int, 'number'],
  [BSON.long, 'number'],
  [BSON.string, 'string'],
  [BSON.object, 'object'],
  [BSON.binData, 'binary'],
  [BSON.objectId, 'objectId'],
  [BSON.bool, 'bool'],
  [BSON.timestamp, 'timestamp'],
  [BSON.maxKey, 'maxKey'],
]);

/** The filter of a range. */
export function rangeFilter({ bracket, from, to }: IdRange): Filter<Document> {
  if (bracket === 'rest') return { $nor: WHOLE.map(([, whole]) => ({ _id: whole() })) } as Filter<Document>;
  const condition = WHOLE.find(([name]) => name === bracket)![1]();
  if (from) condition.$gte = idValue(from);
  if (to) condition.$lt = idValue(to);
  if (to && '$lte' in condition) delete condition.$lte;
  return { _id: condition } as Filter<Document>;
}

/** For the ledger, which encrypts it. */
export function rangeText({ bracket, from, to }: IdRange): string {
  return JSON.stringify([bracket, from && idText(from), to && idText(to)]);
}

export function rangeFromText(text: string): IdRange {
  const [bracket, from, to] = JSON.parse(text) as [Bracket, string | null, string | null];
  return { bracket, from: from === null ? null : idFromText(from), to: to === null ? null : idFromText(to) };
}
