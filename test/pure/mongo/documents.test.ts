import fc from 'fast-check';
import { BSON as Bson } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { jobKeys } from '../../../anonymize/keys.js';
import { BLIND, sealingWith } from '../../../anonymize/sealing.js';
import { Assembler } from '../../../mongo/documents/assemble.js';
import { compileDocuments } from '../../../mongo/documents/compile.js';
import { Edits } from '../../../mongo/documents/edits.js';
import type { Encoded } from '../../../mongo/documents/encode.js';
import { parseFields } from '../../../mongo/documents/rules.js';
import type { CollectionRules } from '../../../mongo/documents/types.js';
import { recognizerOf } from '../../../mongo/recognize.js';
import { revealObjects } from '../../../retention/token/objects.js';
import { Revealer } from '../../../retention/token/revealer.js';
import { Keyring } from '../../../retention/token/ring.js';
import { ringOf } from '../retention/scene.js';
import { transformDecoded } from './decoding.js';
import { anyDocument, anyScalar, EVERY_TYPE, type RawValue, raw, rawDocument } from './raw.js';

const keys = jobKeys(Buffer.alloc(32, 7));

function rules(
  fields: Record<string, unknown>,
  unlisted: CollectionRules['unlisted'] = 'block',
  derive: Record<string, unknown> = {},
): CollectionRules {
  const parsed = parseFields(fields, derive);
  if ('errors' in parsed) throw new Error(parsed.errors.map(({ message }) => message).join('\n'));
  return { collection: 'shop.customers', ...parsed, unlisted };
}

function apply(given: CollectionRules, ...documents: Uint8Array[]) {
  return compileDocuments(given, keys).apply(documents);
}

function only(given: CollectionRules, document: Uint8Array): Bson.Document {
  const { documents, refused } = apply(given, document);
  expect(refused).toEqual([]);
  return Bson.deserialize(documents[0]!, { promoteValues: false, bsonRegExp: true });
}

const NAMES = fc.constantFrom('a', 'b', 'c', 'dd', 'email', 'ü', 'x y', 'n0');

describe('bytes that no rule is about', () => {
  it('come out as they were, of every type', () => {
    const document = rawDocument(EVERY_TYPE);
    expect(apply(rules({}, 'keep'), document).documents[0]).toEqual(document);
    const others = EVERY_TYPE.map(([name]) => name).filter((name) => name !== 'string');
    const named = rules({ ...Object.fromEntries(others.map((name) => [name, 'keep'])), string: 'scramble' });
    const { documents, refused } = apply(named, document);
    expect(refused).toEqual([]);
    const before = document.indexOf('string\0');
    expect(documents[0]!.subarray(4, before)).toEqual(document.subarray(4, before));
    const after = document.indexOf('object\0');
    expect(documents[0]!.subarray(-(document.length - after))).toEqual(document.subarray(after));
  });

  it('survive any walk, whatever they are', () => {
    const walked = rules({ 'a.b.c': 'keep', '**.never': 'email', 'b[].c': 'keep' }, 'keep');
    fc.assert(
      fc.property(anyDocument(NAMES), (document) => {
        expect(apply(walked, document).documents[0]).toEqual(document);
      }),
    );
  });
});

describe('the raw editor and the decoding one', () => {
  const READABLE: fc.Arbitrary<RawValue> = anyScalar.filter(
    // The library has no DBPointer and no undefined of its own, and dates end where JavaScript's do.
    ({ type, bytes }) =>
      type !== 0x0c &&
      type !== 0x06 &&
      !(type === 0x05 && (bytes[4] === 2 || (bytes[4] === 4 && bytes.length !== 21))) &&
      !(
        type === 0x09 &&
        (bytes.readBigInt64LE() > 8640000000000000n || bytes.readBigInt64LE() < -8640000000000000n)
      ) &&
      !(type === 0x13) &&
      !(type === 0x0b),
  );
  const DECIMAL = fc.tuple(
    fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
    fc.integer({ min: -40, max: 20 }),
  );
  const SCALAR = fc.oneof(
    { weight: 12, arbitrary: READABLE },
    DECIMAL.map(([digits, exponent]) =>
      raw.decimal(Bson.Decimal128.fromString(`${digits}E${exponent}`).bytes),
    ),
  );
  const SPECS: Record<string, unknown>[] = [
    { a: 'scramble', b: 'keep', c: 'keep', '**.email': 'hash' },
    {
      a: { types: { int: 'noise', long: 'permute', string: 'hash', else: 'keep' } },
      'a.b': 'drop',
      'b.*': 'keep',
    },
    {
      'a[]': 'keep',
      'a[0]': 'null',
      'b.c': { types: { objectId: 'permute', uuid: 'permute', else: 'null' } },
      c: 'null',
    },
    { '*': { types: { date: { dateTruncate: 'month' }, double: 'noise', decimal: 'noise', else: 'keep' } } },
    {
      a: 'null',
      'a.a': 'keep',
      'b.b.b': 'drop',
      '**.c': 'drop',
      dd: { types: { bool: { constant: true }, else: 'keep' } },
    },
    {
      'a.*.b': 'email',
      '*.*': 'keep',
      a: 'drop',
      email: { types: { string: 'email', object: 'drop', array: 'null', else: 'block' } },
    },
  ];

  it.each(
    SPECS.flatMap((spec) => (['keep', 'null', 'block', 'drop'] as const).map((u) => [u, spec] as const)),
  )('agree: unlisted %s, %j', (unlisted, spec) => {
    const given = rules(spec, unlisted);
    const transform = compileDocuments(given, keys);
    fc.assert(
      fc.property(fc.array(anyDocument(NAMES, SCALAR), { maxLength: 5 }), (documents) => {
        const made = transform.apply(documents).documents;
        expect(made.map(hex)).toEqual(
          documents.map((document) => hex(transformDecoded(given, keys, document))),
        );
      }),
      { numRuns: 25 },
    );
  });
});

describe('fields', () => {
  it('keep their types', () => {
    const document = rawDocument(EVERY_TYPE);
    const made = only(
      rules(
        {
          _id: 'permute',
          double: 'noise',
          string: 'hash',
          uuid: 'permute',
          bool: { constant: false },
          date: { dateTruncate: 'year' },
          symbol: 'scramble',
          int: 'noise',
          long: { permute: { bits: 63 } },
          decimal: { constant: '12.50' },
          array: 'noise',
        },
        'keep',
      ),
      document,
    );
    expect(made._id).toBeInstanceOf(Bson.ObjectId);
    expect(made._id.toHexString()).not.toBe('65f0c0ffee65f0c0ffee65f0');
    expect(made.double._bsontype).toBe('Double');
    expect(made.string).toMatch(/^[0-9a-f]{32}$/);
    expect(made.uuid.toUUID().toHexString()).toMatch(/^........-....-4...-[89ab]/);
    expect(made.bool).toBe(false);
    expect(made.date.toISOString()).toBe('2024-01-01T00:00:00.000Z');
    expect(made.symbol._bsontype).toBe('BSONSymbol');
    expect(made.int._bsontype).toBe('Int32');
    expect(made.long._bsontype).toBe('Long');
    expect(made.decimal.toString()).toBe('12.50');
    expect(made.array[0]._bsontype).toBe('Int32');
  });

  it('that hold NaN, -0.0 or far dates are refused, or kept where the rule says so', () => {
    const document = rawDocument(EVERY_TYPE);
    for (const [name, spec] of [
      ['nan', 'noise'],
      ['minusZero', 'noise'],
      ['farDate', { dateTruncate: 'year' }],
    ] as const) {
      const { documents, refused } = apply(rules({ [name]: spec }, 'keep'), document);
      expect([documents, refused.length, refused[0]!.path]).toEqual([[null], 1, name]);
      const kept = rules({ [name]: { apply: spec, special: 'keep' } }, 'keep');
      expect(apply(kept, document).documents[0]).toEqual(document);
    }
  });

  it('of a type that the transformer does not take refuse the document, without its value', () => {
    const document = rawDocument([['email', raw.int(123_456_789)]]);
    const { refused } = apply(rules({ email: 'email' }), document);
    expect(refused).toEqual([
      { index: 0, path: 'email', reason: expect.stringContaining('email cannot take int') },
    ]);
    expect(JSON.stringify(refused)).not.toContain('123456789');
  });

  it('of other types than those that `types` names follow `else`, documents and arrays whole', () => {
    const text = raw.string('Ann Smith');
    for (const kept of [raw.int(7), raw.array([text]), raw.object([['deep', raw.array([text])]])]) {
      const document = rawDocument([['phone', kept]]);
      const given = rules({ phone: { types: { string: 'scramble', else: 'keep' } } });
      expect(Buffer.from(apply(given, document).documents[0]!)).toEqual(Buffer.from(document));
    }
  });

  it('that no rule names follow `unlisted`', () => {
    const document = rawDocument([
      ['name', raw.string('Ann')],
      ['secret', raw.string('s3')],
      ['data', raw.object([['ann@shop.test', raw.int(1)]])],
    ]);
    const { refused } = apply(rules({ name: 'firstName' }), document);
    expect(refused).toEqual([{ index: 0, path: 'secret', reason: 'no rule decides this field' }]);
    const inMap = apply(rules({ name: 'firstName', secret: 'drop', 'data.*.x': 'keep' }), document);
    expect(inMap.refused[0]!.path).toBe('data.?');
    expect(Object.keys(only(rules({ name: 'keep' }, 'drop'), document))).toEqual(['name']);
    expect(only(rules({ name: 'keep' }, 'null'), document)).toEqual({
      name: 'Ann',
      secret: null,
      data: null,
    });
  });

  it('inside arrays are found element by element', () => {
    const order = (street: string) => raw.object([['address', raw.object([['street', raw.string(street)]])]]);
    const document = rawDocument([['orders', raw.array([order('Main St 1'), order('Low St 2')])]]);
    const made = only(
      rules({ 'orders[].address.street': { constant: 'x' }, 'orders[1].address.street': 'keep' }),
      document,
    );
    expect(made.orders.map((o: Bson.Document) => o.address.street)).toEqual(['x', 'Low St 2']);
  });

  it('whose names are data get new names, and meet the ids inside by their domain', () => {
    const id = '0df078f33aa74a2e9696e0520c1a828a';
    const tier = raw.object([
      ['id', raw.string(id)],
      ['tier', raw.string('Gold')],
    ]);
    const document = rawDocument([
      [
        'tiers',
        raw.object([
          [id, tier],
          [
            'plain',
            raw.object([
              ['id', raw.string('1')],
              ['tier', raw.string('Tin')],
            ]),
          ],
        ]),
      ],
    ]);
    const given = rules({
      'tiers.*~': { apply: 'hash', domain: 'tier' },
      'tiers.*.id': { apply: 'hash', domain: 'tier' },
      'tiers.*.tier': 'keep',
      'tiers.plain': 'drop',
    });
    const made = only(given, document);
    const [key] = Object.keys(made.tiers);
    expect(Object.keys(made.tiers)).toHaveLength(1);
    expect(key).toBe(made.tiers[key!].id);
    expect(key).not.toBe(id);
  });

  it('of one domain meet across collections and with a column of the same domain', () => {
    const one = only(rules({ id: { apply: 'permute', domain: 'd' } }), rawDocument([['id', raw.int(4711)]]));
    const other = only(
      rules({ ref: { apply: 'permute', domain: 'd' } }),
      rawDocument([['ref', raw.int(4711)]]),
    );
    expect(one.id.value).toBe(other.ref.value);
  });
});

describe('keys that would become one', () => {
  it('refuse the document', () => {
    const document = rawDocument([
      [
        'm',
        raw.object([
          ['a', raw.int(1)],
          ['b', raw.int(2)],
        ]),
      ],
    ]);
    const given = rules({ 'm.*~': { constant: 'k' }, 'm.*': 'keep' });
    expect(apply(given, document).refused[0]!.reason).toBe('two keys would become one');
  });

  it('are no concern of fields that go: the key of a dropped field is not looked at', () => {
    const document = rawDocument([
      [
        'm',
        raw.object([
          ['a', raw.int(1)],
          ['b', raw.string('x')],
        ]),
      ],
    ]);
    const given = rules({ 'm.*~': { constant: 'k' }, 'm.*': { types: { int: 'drop', string: 'null' } } });
    expect(only(given, document)).toEqual({ m: { k: null } });
  });

  it('are told from those of the document before, where a dropped field stands at the same place', () => {
    const given = rules({ 'm.*~': { constant: 'k' }, a: 'drop' }, 'keep');
    const before = rawDocument([['m', raw.object([['j', raw.int(1)]])]]);
    const after = rawDocument([
      ['x', raw.int(1)],
      ['a', raw.int(2)],
    ]);
    const { documents, refused } = apply(given, before, after);
    expect(refused).toEqual([]);
    expect(documents.map((bytes) => Bson.deserialize(bytes!))).toEqual([{ m: { k: 1 } }, { x: 1 }]);
  });
});

describe('derived fields', () => {
  const derive = { dataHash: { from: 'data.sensitive', apply: 'hash' } };
  const document = rawDocument([
    ['_id', raw.int(1)],
    ['data', raw.object([['sensitive', raw.long(42n)]])],
  ]);

  it('come last, and leave the bare shape with unlisted: drop', () => {
    const made = only(rules({ _id: 'keep' }, 'drop', derive), document);
    expect(Object.keys(made)).toEqual(['_id', 'dataHash']);
    expect(made.dataHash).toMatch(/^[0-9a-f]{32}$/);
  });

  it('stand where a field of that name stood', () => {
    const before = rawDocument([
      ['dataHash', raw.object([['old', raw.int(1)]])],
      ['data', raw.object([['sensitive', raw.string('x')]])],
      ['_id', raw.int(1)],
    ]);
    expect(Object.keys(only(rules({ _id: 'keep', data: 'keep' }, 'block', derive), before))).toEqual([
      'dataHash',
      'data',
      '_id',
    ]);
    const nothing = rawDocument([
      ['dataHash', raw.int(1)],
      ['_id', raw.int(1)],
    ]);
    expect(only(rules({ _id: 'keep' }, 'block', derive), nothing)).toEqual({ _id: new Bson.Int32(1) });
    const none = rawDocument([['data', raw.object([['sensitive', raw.null()]])]]);
    expect(only(rules({ data: 'drop' }, 'block', derive), none)).toEqual({ dataHash: null });
  });

  it('of a document that is refused leave nothing to the next one', () => {
    const given = rules({ _id: 'keep', a: 'keep', b: 'keep' }, 'block', {
      aHash: { from: 'a', apply: 'hash' },
      bHash: { from: 'b', apply: 'hash' },
    });
    const person = (...fields: [string, RawValue][]) => rawDocument([['_id', raw.int(1)], ...fields]);
    const good = person(['a', raw.string('x')], ['b', raw.string('y')]);
    const next = person(['aHash', raw.string('of before')], ['b', raw.string('z')]);
    const [alone] = apply(given, next).documents;
    for (const first of [[], [good]]) {
      const notText = { ...raw.string('?'), bytes: Buffer.from([2, 0, 0, 0, 0xff, 0]) };
      for (const b of [raw.object([]), notText]) {
        const documents = [...first, person(['a', raw.string('w')], ['b', b]), next, good];
        const made = apply(given, ...documents);
        expect(made.refused.map(({ index, path }) => [index, path])).toEqual([[first.length, 'bHash']]);
        expect(made.documents.slice(first.length + 1)).toEqual([alone, ...apply(given, good).documents]);
      }
    }
  });

  it('keep the type where the transformer takes it', () => {
    const made = only(rules({}, 'drop', { n: { from: 'data.sensitive', apply: 'permute' } }), document);
    expect(made.n._bsontype).toBe('Long');
  });
});

describe('transformers that read another field', () => {
  it('move dates of one document together', () => {
    const document = rawDocument([
      ['_id', raw.string('k')],
      ['from', raw.date(1_700_000_000_000n)],
      ['visits', raw.array([raw.date(1_700_086_400_000n)])],
    ]);
    const made = only(rules({ _id: 'keep', from: 'dateShift', 'visits[]': 'dateShift' }), document);
    expect(made.visits[0].getTime() - made.from.getTime()).toBe(86_400_000);
    expect(made.from.getTime()).not.toBe(1_700_000_000_000);
  });
});

describe('what is no BSON', () => {
  const TRANSFORM = compileDocuments(
    rules({ string: 'email', 'object.*': 'keep', 'array[]': 'keep', int: 'permute' }, 'keep'),
    keys,
  );
  const document = rawDocument(EVERY_TYPE);

  it('is refused or copied, and never throws, whatever byte is changed', () => {
    for (let at = 0; at < document.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff, document[at]! ^ 1]) {
        const changed = Buffer.from(document);
        changed[at] = value;
        const { documents, refused } = TRANSFORM.apply([changed]);
        expect(documents[0] === null).toBe(refused.length === 1);
      }
    }
  });

  it('never comes out with a value that a rule would have changed', () => {
    const transform = compileDocuments(rules({ string: 'email' }, 'keep'), keys);
    const secret = 'Ünïcode';
    const name = document.indexOf('string\0');
    for (let at = 0; at < document.length; at++) {
      // A change of the field's own name makes it another field.
      if (at >= name && at <= name + 6) continue;
      for (const value of [0, 2, 5, 0x0d, 0x0e, 0x7f, 0xff, document[at]! ^ 0x10]) {
        const changed = Buffer.from(document);
        changed[at] = value;
        const [made] = transform.apply([changed]).documents;
        if (!made || !Buffer.from(made).includes(secret)) continue;
        expect(parses(changed) && Bson.deserialize(changed).string !== undefined).toBe(false);
      }
    }
  });

  it('is cut off', () => {
    for (let length = 0; length < document.length; length++) {
      expect(TRANSFORM.apply([document.subarray(0, length)]).documents).toEqual([null]);
    }
  });

  it('holds text that is not UTF-8', () => {
    const changed = rawDocument([['string', raw.string('abc')]]);
    changed[changed.indexOf('abc')] = 0xff;
    expect(TRANSFORM.apply([changed]).refused).toEqual([
      { index: 0, path: 'string', reason: 'a text that is not UTF-8' },
    ]);
  });

  it('is nested too deep', () => {
    let value = raw.object([]);
    for (let depth = 0; depth < 300; depth++) value = raw.object([['a', value]]);
    const deep = compileDocuments(rules({ '**.b': 'email' }, 'keep'), keys).apply([
      rawDocument([['a', value]]),
    ]);
    expect(deep.refused[0]!.reason).toBe('nested deeper than 200 levels');
  });

  it('does not touch its neighbours', () => {
    const good = rawDocument([['string', raw.string('ann@shop.test')]]);
    const { documents, refused } = TRANSFORM.apply([good, Buffer.from([1, 2]), good]);
    expect(refused).toEqual([{ index: 1, path: '', reason: expect.stringContaining('not BSON') }]);
    expect(documents[0]).toEqual(documents[2]);
  });
});

describe('a document that grows', () => {
  it('beyond 16 MB is refused', () => {
    const document = rawDocument([
      ['big', raw.string('x'.repeat(16 * 1024 * 1024 - 60))],
      ['a', raw.string('a')],
    ]);
    const { refused } = apply(rules({ big: 'keep', a: { constant: 'x'.repeat(100) } }), document);
    expect(refused[0]!.reason).toBe('larger than 16 MB after its transformation');
  });
});

describe('sealed values', () => {
  const DAYS = ['2026-03-08', '2026-03-09', '2026-03-10'];
  const base = { name: 'x', window: 3, store: 'main', context: '', expired: '[expired]' };
  const policy = { ...base, id: 'ip', deterministic: false, requireGrade: 'bestEffort' } as const;
  const rings = [ringOf(DAYS)];
  const sealing = sealingWith({ day: DAYS[2]!, policies: { ip: policy }, rings, contexts: [] });
  const revealer = new Revealer(new Keyring(rings), '');

  it.each([
    ['string', raw.string('192.0.2.7'), '192.0.2.7'],
    ['int', raw.int(-7), -7],
    ['double', raw.double(1.5), 1.5],
    ['long', raw.long(7n), 7],
    ['long beyond 2^53', raw.long(9007199254740993n), '9007199254740993'],
    ['bool', raw.bool(false), false],
    ['decimal', raw.decimal(Bson.Decimal128.fromString('1.10').bytes), '1.10'],
    ['date', raw.date(0n), '1970-01-01T00:00:00.000Z'],
    ['objectId', raw.objectId('507f1f77bcf86cd799439011'), '507f1f77bcf86cd799439011'],
    ['null', raw.null(), null],
  ])('of type %s become strings that read back, and the rest keeps its bytes', (_, value, read) => {
    const given = rules({ a: { retain: 'ip' } }, 'keep', { d: { from: 'a', apply: { retain: 'ip' } } });
    const document = rawDocument([
      ['x', raw.int(1)],
      ['a', value],
      ['z', raw.string('end')],
    ]);
    const { documents, refused } = compileDocuments(given, { ...keys, sealing }).apply([document]);
    expect(refused).toEqual([]);
    const made = Bson.deserialize(documents[0]!);
    if (read !== null)
      expect([made.a, made.d]).toEqual(Array(2).fill(expect.stringMatching(/^lt1\.ip260310\./)));
    expect(revealObjects(revealer, [made])).toEqual([{ x: 1, a: read, z: 'end', d: read }]);
  });

  it('are dated by a field of the document; days that are over, and documents without one, are no plain text', () => {
    const given = rules({ 'l[].a': { retain: { policy: 'ip', date: 'm.at' } } }, 'keep');
    const document = (at: string | null) =>
      rawDocument([
        ['m', raw.object([['at', at === null ? raw.null() : raw.date(BigInt(Date.parse(at)))]])],
        ['l', raw.array([raw.object([['a', raw.int(5)]])])],
      ]);
    const { documents, refused } = compileDocuments(given, { ...keys, sealing }).apply([
      document('2026-03-09T23:59:00Z'),
      document('2026-02-01T00:00:00Z'),
      document(null),
    ]);
    expect(Bson.deserialize(documents[0]!).l[0].a).toMatch(/^lt1\.ip260309\./);
    expect(Bson.deserialize(documents[1]!).l).toEqual([{ a: '[expired]' }]);
    expect(documents[2]).toBeNull();
    expect(refused).toMatchObject([{ index: 2, path: 'l[].a' }]);
  });

  it.each([
    ['2026-03-10T01:00:00+05:00', '260309'],
    ['2026-03-08T23:30:00.5-0230', '260309'],
    ['2026-03-09 9 lives', null],
    ['2026-02-30T01:00:00+05:00', null],
  ])('dated by the text %s are of its day in UTC, or refused', (at, day) => {
    const given = rules({ a: { retain: { policy: 'ip', date: 'at' } } }, 'keep');
    const document = rawDocument([
      ['at', raw.string(at)],
      ['a', raw.string('x')],
    ]);
    const { documents, refused } = compileDocuments(given, { ...keys, sealing }).apply([document]);
    expect(refused).toHaveLength(day === null ? 1 : 0);
    if (day !== null) expect(Bson.deserialize(documents[0]!).a.slice(0, 12)).toBe(`lt1.ip${day}`);
  });

  it.each([
    [{ '**.ip': { retain: 'ip' } }],
    [{ '*.ip': { retain: 'ip' } }],
    [{ '*.ip': { retain: 'ip' }, '_id.ip': 'hash' }],
  ])('%j leaves _id without tokens', (fields) => {
    const given = rules({ _id: 'keep', ...fields }, 'keep');
    const transform = compileDocuments(given, { ...keys, sealing });
    const inside = () => raw.object([['ip', raw.string('192.0.2.7')]]);
    const { documents, refused } = transform.apply([
      rawDocument([
        ['_id', raw.int(1)],
        ['b', inside()],
      ]),
      rawDocument([
        ['_id', inside()],
        ['b', inside()],
      ]),
    ]);
    expect(Bson.deserialize(documents[0]!)).toEqual({ _id: 1, b: { ip: expect.stringMatching(/^lt1\./) } });
    if ('_id.ip' in fields) expect(Bson.deserialize(documents[1]!)._id.ip).not.toMatch(/^lt1\.|192/);
    else expect(refused).toMatchObject([{ index: 1, path: '_id.ip' }]);
  });

  it.each([
    ['ip', raw.binary(0, Buffer.from([1, 2]))],
    [{ policy: 'ip', pattern: '\\d+' }, raw.int(7)],
  ])('%j is refused in derived fields where it is in others', (retain, value) => {
    const given = rules({ a: 'drop' }, 'keep', { d: { from: 'a', apply: { retain } } });
    const document = rawDocument([['a', value]]);
    const { refused } = compileDocuments(given, { ...keys, sealing }).apply([document]);
    expect(refused).toMatchObject([{ index: 0, path: 'd' }]);
  });

  it.each([
    [{ 'a.*~': { retain: 'ip' } }, 'names of fields should not'],
    [
      { a: { types: { int: { retain: { policy: 'ip', pattern: 'ipv4' } }, else: 'keep' } } },
      'a pattern looks into texts',
    ],
    [{ a: { types: { binData: { retain: 'ip' }, else: 'keep' } } }, 'has no text to seal'],
    [{ a: { retain: { policy: 'ip', date: 'x[]' } } }, 'no path of names alone'],
  ])('%j is refused with the reason', (fields, message) => {
    expect(() => compileDocuments(rules(fields), { ...keys, sealing })).toThrow(message);
  });

  it('are recognized by what they hold, all else by its bytes', async () => {
    const given = rules({ a: { retain: 'ip' }, 'c.d': 'keep' }, 'keep');
    const recognizer = await recognizerOf(given, { ...keys, sealing });
    const blind = await recognizerOf(given, { ...keys, sealing: BLIND });
    const make = (a: RawValue, n: number) => {
      const document = rawDocument([
        [
          'a',
          raw.object([
            ['b', a],
            ['r', raw.double(Number.NaN)],
          ]),
        ],
        ['n', raw.int(n)],
      ]);
      return compileDocuments(rules({ 'a.b': { retain: 'ip' } }, 'keep'), { ...keys, sealing }).apply([
        document,
      ]).documents[0]!;
    };
    const made = make(raw.string('x'), 1);
    const others = [make(raw.string('x'), 1), make(raw.string('y'), 1), make(raw.string('x'), 2)];
    const pairs = others.map((there) => ({ made, there }));
    expect(recognizer.seals).toBe(true);
    expect(recognizer.compare(pairs).map(({ same }) => same)).toEqual([true, false, false]);
    expect(blind.compare(pairs).map(({ same }) => same)).toEqual([true, true, false]);
  });
});

describe('edits that do not fit their document', () => {
  it('are told, and not written over others', () => {
    const edits = new Edits();
    const document = rawDocument([['a', raw.string('x')]]);
    edits.addFrame(0, -1);
    edits.addSlot(1, 7, 4, 7, 13, 0);
    const encoded: Encoded = {
      form: 'text',
      type: 2,
      values: ['y'],
      bytes: Buffer.from('y'),
      offsets: new Uint32Array([0, 1]),
    };
    const part = { firstSlot: 0, lastSlot: 1, firstFrame: 0, lastFrame: 1 };
    expect(() => new Assembler(edits, [encoded], new Map()).measure(document, part)).toThrow('do not fit');
  });
});

describe('rules with mistakes', () => {
  it.each([
    [{ 'a..b': 'keep' }, 'cannot be read at character 2'],
    [{ 'a.~': 'keep' }, 'cannot be read'],
    [{ 'a~': 'keep' }, '~ names keys'],
    [{ a: { types: { strng: 'keep' } } }, 'no BSON type strng'],
    [{ a: 'emial' }, 'did you mean "email"'],
  ])('%j says what is wrong', (fields, message) => {
    const parsed = parseFields(fields);
    expect('errors' in parsed && parsed.errors.map((error) => error.message).join()).toContain(message);
  });

  it.each([
    [{ 'tags[]': 'drop' }, 'cannot be dropped'],
    [{ a: { types: { int: 'email', else: 'keep' } } }, 'email cannot take int'],
    [{ a: { types: { object: 'email', else: 'keep' } } }, 'an object is kept'],
    [{ a: { dateShift: { by: 'x[]' } } }, 'no path of names alone'],
  ])('%j is refused with the reason', (fields, message) => {
    expect(() => compileDocuments(rules(fields), keys)).toThrow(message);
  });
});

function hex(bytes: Uint8Array | null): string | null {
  return bytes && Buffer.from(bytes).toString('hex');
}

function parses(bytes: Uint8Array): boolean {
  try {
    Bson.deserialize(bytes);
    return true;
  } catch {
    return false;
  }
}
