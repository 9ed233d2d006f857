import type { BsonType } from './types.js';

/** The byte in front of each element (bsonspec.org, version 1.1). */
export const BSON = {
  double: 0x01,
  string: 0x02,
  object: 0x03,
  array: 0x04,
  binData: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  bool: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  dbPointer: 0x0c,
  javascript: 0x0d,
  symbol: 0x0e,
  javascriptWithScope: 0x0f,
  int: 0x10,
  timestamp: 0x11,
  long: 0x12,
  decimal: 0x13,
  maxKey: 0x7f,
  minKey: 0xff,
} as const;

/** Stands for Binary of subtype 4 in tables by type; no type has this byte. */
export const UUID = 0x20;

/** Names by byte, `UUID` included. */
export const TYPE_NAMES: ReadonlyMap<number, BsonType> = new Map<number, BsonType>([
  ...Object.entries(BSON).map(([name, byte]) => [byte, name as BsonType] as const),
  [UUID, 'uuid'],
]);

/** Binary subtypes: the old one, whose bytes start with a length of their own, and UUIDs. */
export const OLD_BINARY = 2;
export const UUID_BINARY = 4;

/** Deepest nesting that a server stores. */
export const MAX_DEPTH = 200;

/** Largest document that a server stores, in bytes. */
export const MAX_DOCUMENT = 16 * 1024 * 1024;

/** Says what is wrong with a document without showing any of it. */
export class BsonMistake extends Error {}

/** Bytes of the types whose values are all of one size; -1 for the others. */
const SIZES = new Int8Array(256).fill(-1);
for (const [type, size] of [
  [BSON.double, 8],
  [BSON.undefined, 0],
  [BSON.objectId, 12],
  [BSON.bool, 1],
  [BSON.date, 8],
  [BSON.null, 0],
  [BSON.int, 4],
  [BSON.timestamp, 8],
  [BSON.long, 8],
  [BSON.decimal, 16],
  [BSON.maxKey, 0],
  [BSON.minKey, 0],
] as const) {
  SIZES[type] = size;
}

export function int32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** The index of the zero that ends a name or pattern. */
export function cstringEnd(bytes: Uint8Array, at: number, limit: number): number {
  for (let i = at; i < limit; i++) if (bytes[i] === 0) return i;
  throw new BsonMistake('not BSON: a name without end');
}

/**
 * Where a value ends.
 *
 * @param limit First index that it must not reach: the zero that ends its document.
 * @throws BsonMistake when its length cannot be right, or the type is none.
 */
export function valueEnd(bytes: Uint8Array, type: number, at: number, limit: number): number {
  const fixed = SIZES[type]!;
  const end = fixed >= 0 ? at + fixed : variableEnd(bytes, type, at, limit);
  if (end > limit) throw new BsonMistake('not BSON: a value longer than its document');
  if (type === BSON.bool && bytes[at]! > 1) throw new BsonMistake('not BSON: a boolean that is neither');
  return end;
}

function variableEnd(bytes: Uint8Array, type: number, at: number, limit: number): number {
  switch (type) {
    case BSON.string:
    case BSON.symbol:
    case BSON.javascript:
      return stringEnd(bytes, at, limit);
    case BSON.object:
    case BSON.array:
      return containerEnd(bytes, at, limit);
    case BSON.binData:
      return binaryEnd(bytes, at, limit);
    case BSON.regex:
      return cstringEnd(bytes, cstringEnd(bytes, at, limit) + 1, limit) + 1;
    case BSON.dbPointer:
      return stringEnd(bytes, at, limit) + 12;
    case BSON.javascriptWithScope:
      return scopedEnd(bytes, at, limit);
    default:
      throw new BsonMistake('not BSON: a type that there is not');
  }
}

function lengthAt(bytes: Uint8Array, at: number, least: number, limit: number): number {
  if (at + 4 > limit) throw new BsonMistake('not BSON: a value longer than its document');
  const length = int32(bytes, at);
  if (length < least || length > limit - at) throw new BsonMistake('not BSON: a length that cannot be right');
  return length;
}

function stringEnd(bytes: Uint8Array, at: number, limit: number): number {
  const end = at + 4 + lengthAt(bytes, at, 1, limit);
  if (end > limit) throw new BsonMistake('not BSON: a value longer than its document');
  if (bytes[end - 1] !== 0) throw new BsonMistake('not BSON: a text without its end');
  return end;
}

/** Of a document or array; what it holds is not looked at. */
export function containerEnd(bytes: Uint8Array, at: number, limit: number): number {
  const end = at + lengthAt(bytes, at, 5, limit);
  if (bytes[end - 1] !== 0) throw new BsonMistake('not BSON: a document without its end');
  return end;
}

function binaryEnd(bytes: Uint8Array, at: number, limit: number): number {
  const length = lengthAt(bytes, at, 0, limit);
  const subtype = bytes[at + 4];
  if (subtype === OLD_BINARY && (length < 4 || int32(bytes, at + 5) !== length - 4)) {
    throw new BsonMistake('not BSON: an old binary value whose two lengths differ');
  }
  return at + 5 + length;
}

function scopedEnd(bytes: Uint8Array, at: number, limit: number): number {
  const end = at + lengthAt(bytes, at, 14, limit);
  if (containerEnd(bytes, stringEnd(bytes, at + 4, end), end) !== end) {
    throw new BsonMistake('not BSON: code and scope that do not fill their value');
  }
  return end;
}

/** The type byte under which tables hold a value: `UUID` for a Binary of subtype 4 that has 16 bytes. */
export function tableType(bytes: Uint8Array, type: number, at: number): number {
  return type === BSON.binData && bytes[at + 4] === UUID_BINARY && int32(bytes, at) === 16 ? UUID : type;
}
