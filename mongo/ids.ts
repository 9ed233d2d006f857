import type { Document } from 'mongodb';
import { cstringEnd, int32, valueEnd } from './documents/bson.js';
import { driver } from './driver.js';

/** An `_id` as its bytes: type byte, then the value. Equal ids of one type have equal bytes. */
export type RawId = Uint8Array;

/** Options under which a decoded value is written back with the same type and bytes. */
export const EXACT = {
  promoteValues: false,
  promoteBuffers: false,
  promoteLongs: false,
  bsonRegExp: true,
  validation: { utf8: false },
} as const;

/** Cuts the `_id` out of a raw document; undefined where it has none. */
export function idOf(document: Uint8Array): RawId | undefined {
  const limit = int32(document, 0) - 1;
  let at = 4;
  while (at < limit) {
    const type = document[at]!;
    const nameEnd = cstringEnd(document, at + 1, limit);
    const end = valueEnd(document, type, nameEnd + 1, limit);
    const isId =
      nameEnd - at === 4 &&
      document[at + 1] === 0x5f &&
      document[at + 2] === 0x69 &&
      document[at + 3] === 0x64;
    if (isId) {
      const id = new Uint8Array(1 + end - nameEnd - 1);
      id[0] = type;
      id.set(document.subarray(nameEnd + 1, end), 1);
      return id;
    }
    at = end;
  }
  return undefined;
}

/** `{ <name>: <id> }` as raw BSON. */
export function idDocument(id: RawId, name = '_id'): Uint8Array {
  const field = Buffer.from(`${name}\0`);
  const length = 4 + 1 + field.length + (id.length - 1) + 1;
  const out = Buffer.alloc(length);
  out.writeInt32LE(length, 0);
  out[4] = id[0]!;
  field.copy(out, 5);
  out.set(id.subarray(1), 5 + field.length);
  return out;
}

/** An `_id` as a value for the driver that it writes back unchanged. */
export function idValue(id: RawId): unknown {
  return (driver().BSON.deserialize(idDocument(id), EXACT) as Document)._id;
}

/** For sets and maps. */
export function idText(id: RawId): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('base64');
}

export function idFromText(text: string): RawId {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
