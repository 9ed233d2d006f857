import fc from 'fast-check';
import { BSON } from '../../../mongo/documents/bson.js';

/** An element of a raw document, as bytes. */
export interface RawValue {
  readonly type: number;
  readonly bytes: Buffer;
}

export type RawField = readonly [name: string, value: RawValue];

export function rawDocument(fields: readonly RawField[]): Buffer {
  const parts = fields.flatMap(([name, { type, bytes }]) => [
    Buffer.from([type]),
    Buffer.from(`${name}\0`),
    bytes,
  ]);
  const body = Buffer.concat(parts);
  return Buffer.concat([le32(body.length + 5), body, Buffer.from([0])]);
}

export function le32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

export function le64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([le32(bytes.length + 1), bytes, Buffer.from([0])]);
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

/** Values by type, made by hand: the driver's own library makes no Undefined, DBPointer or old Binary. */
export const raw = {
  double: (value: number): RawValue => ({ type: BSON.double, bytes: double(value) }),
  string: (value: string): RawValue => ({ type: BSON.string, bytes: text(value) }),
  object: (fields: readonly RawField[]): RawValue => ({ type: BSON.object, bytes: rawDocument(fields) }),
  array: (values: readonly RawValue[]): RawValue => ({
    type: BSON.array,
    bytes: rawDocument(values.map((value, i) => [String(i), value])),
  }),
  binary: (subtype: number, bytes: Uint8Array): RawValue => ({
    type: BSON.binData,
    bytes:
      subtype === 2
        ? Buffer.concat([le32(bytes.length + 4), Buffer.from([2]), le32(bytes.length), bytes])
        : Buffer.concat([le32(bytes.length), Buffer.from([subtype]), bytes]),
  }),
  undefined: (): RawValue => ({ type: BSON.undefined, bytes: Buffer.alloc(0) }),
  objectId: (hex: string): RawValue => ({ type: BSON.objectId, bytes: Buffer.from(hex, 'hex') }),
  bool: (value: boolean): RawValue => ({ type: BSON.bool, bytes: Buffer.from([value ? 1 : 0]) }),
  date: (milliseconds: bigint): RawValue => ({ type: BSON.date, bytes: le64(milliseconds) }),
  null: (): RawValue => ({ type: BSON.null, bytes: Buffer.alloc(0) }),
  regex: (pattern: string, flags: string): RawValue => ({
    type: BSON.regex,
    bytes: Buffer.from(`${pattern}\0${flags}\0`),
  }),
  dbPointer: (name: string, id: string): RawValue => ({
    type: BSON.dbPointer,
    bytes: Buffer.concat([text(name), Buffer.from(id, 'hex')]),
  }),
  code: (code: string): RawValue => ({ type: BSON.javascript, bytes: text(code) }),
  symbol: (value: string): RawValue => ({ type: BSON.symbol, bytes: text(value) }),
  scoped: (code: string, scope: readonly RawField[]): RawValue => {
    const body = Buffer.concat([text(code), rawDocument(scope)]);
    return { type: BSON.javascriptWithScope, bytes: Buffer.concat([le32(body.length + 4), body]) };
  },
  int: (value: number): RawValue => ({ type: BSON.int, bytes: le32(value) }),
  timestamp: (value: bigint): RawValue => ({ type: BSON.timestamp, bytes: le64(value) }),
  long: (value: bigint): RawValue => ({ type: BSON.long, bytes: le64(value) }),
  decimal: (bytes: Uint8Array): RawValue => ({ type: BSON.decimal, bytes: Buffer.from(bytes) }),
  minKey: (): RawValue => ({ type: BSON.minKey, bytes: Buffer.alloc(0) }),
  maxKey: (): RawValue => ({ type: BSON.maxKey, bytes: Buffer.alloc(0) }),
};

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b).toString('hex'));
const word = fc.string({ unit: 'grapheme', maxLength: 12 }).map((value) => value.replaceAll('\0', ''));
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

/** Any scalar of any type. */
export const anyScalar: fc.Arbitrary<RawValue> = fc.oneof(
  fc.double().map(raw.double),
  fc.string({ unit: 'grapheme', maxLength: 20 }).map(raw.string),
  fc
    .tuple(fc.constantFrom(0, 2, 3, 4, 128), fc.uint8Array({ maxLength: 20 }))
    .map(([type, bytes]) => raw.binary(type, bytes)),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => raw.binary(4, bytes)),
  fc.constant(raw.undefined()),
  hex(12).map(raw.objectId),
  fc.boolean().map(raw.bool),
  long.map(raw.date),
  fc.constant(raw.null()),
  fc.tuple(word, fc.constantFrom('', 'i', 'im')).map(([pattern, flags]) => raw.regex(pattern, flags)),
  fc.tuple(word, hex(12)).map(([name, id]) => raw.dbPointer(name, id)),
  word.map(raw.code),
  word.map(raw.symbol),
  word.map((code) => raw.scoped(code, [['x', raw.int(1)]])),
  fc.integer().map(raw.int),
  long.map(raw.timestamp),
  long.map(raw.long),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map(raw.decimal),
  fc.constant(raw.minKey()),
  fc.constant(raw.maxKey()),
);

/**
 * Documents of random fields.
 *
 * @param names Of their fields.
 * @param scalar What their fields hold.
 */
export function anyDocument(
  names: fc.Arbitrary<string>,
  scalar: fc.Arbitrary<RawValue> = anyScalar,
): fc.Arbitrary<Buffer> {
  const { fields } = fc.letrec<{ value: RawValue; fields: RawField[] }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      scalar,
      tie('fields').map(raw.object),
      fc.array(tie('value'), { maxLength: 4 }).map(raw.array),
    ),
    fields: fc.uniqueArray(fc.tuple(names, tie('value')), { maxLength: 7, selector: ([name]) => name }),
  }));
  return fields.map(rawDocument);
}

/** Every type, some of them twice, with a name of its own. */
export const EVERY_TYPE: readonly RawField[] = [
  ['_id', raw.objectId('65f0c0ffee65f0c0ffee65f0')],
  ['double', raw.double(1.5)],
  ['nan', raw.double(Number.NaN)],
  ['minusZero', raw.double(-0)],
  ['string', raw.string('Ünïcode \0 inside')],
  [
    'object',
    raw.object([
      ['9', raw.int(1)],
      ['1', raw.int(2)],
      ['', raw.string('')],
    ]),
  ],
  ['array', raw.array([raw.int(1), raw.array([]), raw.object([])])],
  ['binary', raw.binary(0, Buffer.from([1, 2, 3]))],
  ['oldBinary', raw.binary(2, Buffer.from([1, 2, 3]))],
  ['uuid', raw.binary(4, Buffer.from('1f0e7b7c9f644d0a8a550c1a4f2c9e11', 'hex'))],
  ['undefined', raw.undefined()],
  ['bool', raw.bool(true)],
  ['date', raw.date(1_709_164_800_123n)],
  ['farDate', raw.date(253_402_300_800_000n)],
  ['null', raw.null()],
  ['regex', raw.regex('^a.*b$', 'im')],
  ['dbPointer', raw.dbPointer('db.people', '65f0c0ffee65f0c0ffee65f0')],
  ['code', raw.code('function () { return 1; }')],
  ['symbol', raw.symbol('sym')],
  ['scoped', raw.scoped('x + 1', [['x', raw.int(1)]])],
  ['int', raw.int(-7)],
  ['timestamp', raw.timestamp(7_300_000_000_000_000_001n)],
  ['long', raw.long(9_223_372_036_854_775_807n)],
  ['decimal', raw.decimal(Buffer.from('e8030000000000000000000000003c30', 'hex'))],
  ['minKey', raw.minKey()],
  ['maxKey', raw.maxKey()],
];
