import { BSON, type Document } from 'mongodb';
import type { Place } from './places.js';
import type { BsonType, FieldSpec } from './types.js';

/** A value of a document that is neither document nor array; of names that a rule changes, the name. */
export interface Leaf {
  readonly place: Place;
  readonly kind: 'text' | 'number' | 'time' | 'null' | 'other';
  /** As it is searched and counted; null for null. */
  readonly text: string | null;
  /** What decides it; undefined: nobody. */
  readonly spec: FieldSpec | undefined;
}

/** A raw document with its values, as far as they can be read: text that is no UTF-8 is read as well as may be. */
export function readDocument(raw: Uint8Array): Document {
  return BSON.deserialize(raw, { validation: { utf8: false }, bsonRegExp: true });
}

/** Calls `visit` for every leaf, in order. */
export function eachLeaf(document: Document, root: Place, visit: (leaf: Leaf) => void): void {
  for (const [name, value] of Object.entries(document)) member(name, value, root, visit);
}

function member(name: string, value: unknown, place: Place, visit: (leaf: Leaf) => void): void {
  const child = place.child(name);
  const { keys } = place;
  if (keys && child.path.endsWith('*')) {
    visit({ place: child, kind: 'text', text: name, spec: keys.apply });
  }
  each(value, child, visit);
}

function each(value: unknown, place: Place, visit: (leaf: Leaf) => void): void {
  if (Array.isArray(value)) {
    for (const [at, element] of value.entries()) each(element, place.element(at), visit);
    return;
  }
  const [kind, types, text] = described(value);
  if (kind === 'document') {
    for (const [name, inner] of Object.entries(value as Document)) member(name, inner, place, visit);
    return;
  }
  visit({ place, kind, text, spec: specOf(place, types) });
}

function specOf({ rule }: Place, types: readonly BsonType[]): FieldSpec | undefined {
  if (rule && 'types' in rule) {
    for (const type of types) if (rule.types?.[type]) return rule.types[type];
  }
  return rule?.apply;
}

type Described = readonly [kind: Leaf['kind'] | 'document', types: readonly BsonType[], text: string | null];

const WHOLE: readonly BsonType[] = ['int', 'long', 'double'];

function described(value: unknown): Described {
  if (value === null || value === undefined) return ['null', ['null'], null];
  if (typeof value === 'string') return ['text', ['string'], value];
  if (typeof value === 'number')
    return ['number', Number.isInteger(value) ? WHOLE : ['double'], String(value)];
  if (typeof value === 'bigint') return ['number', ['long'], String(value)];
  if (typeof value === 'boolean') return ['other', ['bool'], String(value)];
  if (value instanceof Date) {
    const seconds = value.getTime() / 1_000;
    return ['time', ['date'], String(seconds)];
  }
  switch ((value as { _bsontype?: string })._bsontype) {
    case undefined:
      return ['document', ['object'], null];
    case 'Long':
      return ['number', ['long'], String(value)];
    case 'Decimal128':
      return ['number', ['decimal'], String(value)];
    case 'ObjectId':
      return ['other', ['objectId'], String(value)];
    case 'BSONSymbol':
      return ['text', ['symbol'], String(value)];
    case 'Binary':
      return ['other', ['uuid', 'binData'], null];
    default:
      return ['other', [], null];
  }
}
