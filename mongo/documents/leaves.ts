import { driver } from '../driver.js';
import { BSON, containerEnd, cstringEnd, TYPE_NAMES, tableType, valueEnd } from './bson.js';
import type { Place } from './places.js';
import type { BsonType, FieldSpec } from './types.js';

/** A value of a document that is neither document nor array; of names that a rule changes, the name. */
export interface Leaf {
  readonly place: Place;
  readonly kind: 'text' | 'number' | 'time' | 'null' | 'other';
  /** As it is searched and counted; null for null. Text that is no UTF-8 is read as well as may be. */
  readonly text: string | null;
  /** What decides it; undefined: nobody. */
  readonly spec: FieldSpec | undefined;
}

/** Calls `visit` for every leaf of a raw document, in order. */
export function eachLeaf(document: Uint8Array, root: Place, visit: (leaf: Leaf) => void): void {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.length);
  new Walk(bytes, visit).container(0, bytes.length, root, false, undefined);
}

class Walk {
  constructor(
    private readonly bytes: Buffer,
    private readonly visit: (leaf: Leaf) => void,
  ) {}

  /** @param whole What decides all that lies below, whatever its types. */
  container(start: number, end: number, place: Place, array: boolean, whole: FieldSpec | undefined): void {
    const { bytes } = this;
    const limit = containerEnd(bytes, start, end) - 1;
    let index = 0;
    for (let at = start + 4; at < limit; ) {
      const type = bytes[at]!;
      const nameEnd = cstringEnd(bytes, at + 1, limit);
      const valueStop = valueEnd(bytes, type, nameEnd + 1, limit);
      const child = array
        ? place.element(index++)
        : this.member(place, bytes.toString('utf8', at + 1, nameEnd));
      this.value(type, nameEnd + 1, valueStop, child, whole);
      at = valueStop;
    }
  }

  private member(place: Place, name: string): Place {
    const child = place.child(name);
    const { keys } = place;
    if (keys && child.path.endsWith('*')) {
      this.visit({ place: child, kind: 'text', text: name, spec: keys.apply });
    }
    return child;
  }

  private value(type: number, start: number, end: number, place: Place, whole: FieldSpec | undefined): void {
    if (type === BSON.object || type === BSON.array) {
      const array = type === BSON.array;
      this.container(start, end, place, array, whole ?? wholeOf(place, array ? 'array' : 'object'));
      return;
    }
    const name = TYPE_NAMES.get(tableType(this.bytes, type, start))!;
    const [kind, text] = readLeaf(this.bytes, name, start, end);
    this.visit({ place, kind, text, spec: whole ?? specOf(place, name) });
  }
}

function specOf({ rule }: Place, type: BsonType): FieldSpec | undefined {
  return (rule && 'types' in rule && rule.types?.[type]) || rule?.apply;
}

/** A document or array that a rule decides as one; others are gone through. */
function wholeOf(place: Place, type: 'object' | 'array'): FieldSpec | undefined {
  const spec = place.ends ? specOf(place, type) : undefined;
  return spec && WHOLE.has(spec.name) ? spec : undefined;
}

const WHOLE = new Set(['keep', 'null', 'drop']);

function readLeaf(
  bytes: Buffer,
  type: BsonType,
  start: number,
  end: number,
): readonly [kind: Leaf['kind'], text: string | null] {
  switch (type) {
    case 'null':
    case 'undefined':
      return ['null', null];
    case 'string':
    case 'symbol':
      return ['text', bytes.toString('utf8', start + 4, end - 1)];
    case 'int':
      return ['number', String(bytes.readInt32LE(start))];
    case 'long':
      return ['number', String(bytes.readBigInt64LE(start))];
    case 'double':
      return ['number', String(bytes.readDoubleLE(start))];
    case 'decimal':
      return ['number', String(new (driver().Decimal128)(bytes.subarray(start, end)))];
    case 'date':
      return ['time', String(Number(bytes.readBigInt64LE(start)) / 1_000)];
    case 'bool':
      return ['other', String(bytes[start] === 1)];
    case 'objectId':
      return ['other', bytes.toString('hex', start, end)];
    default:
      return ['other', null];
  }
}
