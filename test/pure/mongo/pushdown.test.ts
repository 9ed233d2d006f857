import { createCipheriv as nodeCipher, hkdfSync as nodeHkdf } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { BSON, Decimal128, type Document, Double, Int32, Long, ObjectId, UUID } from 'mongodb';
import { beforeAll, describe, expect, it } from 'vitest';
import { jobKeys } from '../../../anonymize/keys.js';
import { loadSandbox } from '../../../anonymize/sandbox.js';
import { compileDocuments } from '../../../mongo/documents/compile.js';
import { parseFields } from '../../../mongo/documents/rules.js';
import type { CollectionRules, DocumentTransform } from '../../../mongo/documents/types.js';
import { compilePushdown, type Pushdown } from '../../../mongo/pushdown/compile.js';
import { pipelinesOf } from '../../../mongo/pushdown/pipelines.js';
import { createCipheriv, hkdfSync } from '../../../mongo/pushdown/runtime/crypto.js';
import { library } from '../../../scripts/pushdown.mjs';
import { plain, runPipeline } from './aggregate.js';

const keys = jobKeys(Buffer.alloc(32, 7));

interface Case {
  readonly fields: Record<string, unknown>;
  readonly derive?: Record<string, unknown>;
  readonly unlisted?: CollectionRules['unlisted'];
  /** Documents that the server has to do itself; the last of `left` are a worker's. */
  readonly server: readonly Document[];
  readonly left?: readonly Document[];
}

const id = new ObjectId('65a1b2c3d4e5f60718293a4b');
const at = new Date('2024-02-29T13:14:15.678Z');
const long = Long.fromString('5000000000');

/** One rule each, or what belongs together. */
const CASES: Readonly<Record<string, Case>> = {
  keep: { fields: { a: 'keep' }, server: [{ _id: 1, a: 'x' }, { _id: 2 }] },
  null: {
    fields: { a: 'null', b: 'keep' },
    server: [
      { _id: 1, a: 'x', b: 2 },
      { _id: 2, a: null },
      { _id: 3, b: 1 },
      { _id: 4, a: { c: [1] } },
    ],
  },
  drop: {
    fields: { a: 'drop', b: 'keep' },
    server: [
      { _id: 1, a: 'x', b: 2 },
      { _id: 2, b: 3 },
    ],
  },
  block: {
    fields: { a: 'block', b: 'keep' },
    server: [
      { _id: 1, b: 2 },
      { _id: 2, a: null },
    ],
    left: [{ _id: 3, a: 1 }],
  },
  constant: {
    fields: {
      a: { constant: 'redacted' },
      b: { types: { int: { constant: 7 }, bool: { constant: false }, else: 'block' } },
    },
    server: [
      { _id: 1, a: 'x', b: new Int32(3) },
      { _id: 2, a: null, b: true },
    ],
    left: [{ _id: 3, a: 'x', b: 'text' }],
  },
  mask: {
    fields: { a: { mask: { keepFirst: 1, keepLast: 2 } } },
    server: [
      { _id: 1, a: 'DE-4711' },
      { _id: 2, a: 'Ünal😀s' },
      { _id: 3, a: 'abc' },
      { _id: 4, a: '' },
    ],
    left: [{ _id: 5, a: new Int32(3) }],
  },
  'mask by class': {
    fields: { a: { mask: { with: 'class' } } },
    server: [
      { _id: 1, a: 'Ab-12 Öß' },
      { _id: 2, a: 'ǅ ٣ 漢' },
    ],
  },
  dateTruncate: {
    fields: { a: { dateTruncate: 'week' }, b: { dateTruncate: 'quarter' }, c: { dateTruncate: 'hour' } },
    server: [
      { _id: 1, a: at, b: at, c: at },
      { _id: 2, a: new Date('1969-12-31T23:00:00Z'), b: new Date(-1) },
    ],
    left: [{ _id: 3, a: new Date('+012345-01-01T00:00:00Z') }],
  },
  'dateTruncate in texts': {
    fields: { a: { dateTruncate: 'month' } },
    server: [
      { _id: 1, a: '2024-02-29' },
      { _id: 2, a: '2024-02-29T12:00:00Z' },
    ],
    left: [{ _id: 3, a: 'yesterday' }],
  },
  range: {
    fields: { a: { range: { size: 10, start: 5 } }, b: { range: { size: 100 } } },
    server: [
      { _id: 1, a: new Int32(37), b: '1234' },
      { _id: 2, a: new Int32(-7) },
      { _id: 3, a: new Int32(5) },
      { _id: 4, a: long },
    ],
    left: [
      { _id: 5, a: new Int32(2147483647) },
      { _id: 6, b: 'many' },
    ],
  },
  'range of doubles': { fields: { a: { range: { size: 0.5 } } }, server: [{ _id: 1, a: new Double(3.75) }] },
  hash: {
    fields: { a: 'hash', b: { hash: { format: 'base64url', length: 30 } } },
    server: [
      { _id: 1, a: 'DE-4711', b: 'grün' },
      { _id: 2, a: '', b: null },
      { _id: 3, a: 'x'.repeat(700) },
    ],
  },
  uuid: { fields: { a: 'uuid' }, server: [{ _id: 1, a: 'x' }], left: [{ _id: 2, a: new UUID() }] },
  email: {
    fields: {
      a: { email: { keepDomain: true } },
      b: { email: { unique: false } },
      c: { email: { keepLength: true } },
    },
    server: [
      { _id: 1, a: 'ann@shop.test', b: 'b@c.de', c: 'long.address@shop.test' },
      { _id: 2, a: 'ü@bücher.de' },
    ],
  },
  names: {
    fields: { a: 'firstName', b: 'lastName', c: 'fullName', d: 'username', e: 'company' },
    server: [{ _id: 1, a: 'Mary', b: 'Müller', c: 'Dr. Ann Lee', d: 'ann', e: 'ACME' }],
  },
  places: {
    fields: { a: 'city', b: 'street', c: { postalCode: 1 } },
    server: [{ _id: 1, a: 'Zürich', b: 'Hauptstr. 5', c: '80331' }],
    left: [{ _id: 2, c: '-' }],
  },
  phone: {
    fields: { a: 'phone', b: { phone: { country: 'US' } } },
    server: [{ _id: 1, a: '+49 (0) 151 2345-6789 ext. 12', b: '1-800-555-1234' }],
    left: [{ _id: 2, a: 'none' }],
  },
  numbers: {
    fields: { a: 'iban', b: 'creditCard', c: 'ip' },
    server: [{ _id: 1, a: 'DE89370400440532013000', b: '4111 1111 1111 1111', c: '192.168.1.17' }],
    left: [{ _id: 2, a: 'DE' }],
  },
  url: { fields: { a: 'url' }, server: [{ _id: 1, a: 'https://ann:secret@shop.test/a/b?c=d' }] },
  scramble: {
    fields: { a: 'scramble' },
    server: [
      { _id: 1, a: 'Dr. Ömer Ünal, Room 12b' },
      { _id: 2, a: 'Ελλάδα Москва 東京 ٣' },
    ],
  },
  noise: {
    fields: { a: 'noise', b: { noise: { absolute: 3 } } },
    server: [
      { _id: 1, a: new Double(1999.9), b: new Int32(40) },
      { _id: 2, a: long },
    ],
    left: [
      { _id: 3, a: Decimal128.fromString('1.5') },
      { _id: 4, a: new Double(Number.NaN) },
    ],
  },
  pick: {
    fields: {
      a: { pick: ['red', 'green', 'blue'] },
      b: { pick: { values: { x: 1, y: 9 }, different: true } },
    },
    server: [{ _id: 1, a: 'mauve', b: 'x' }],
  },
  permute: {
    fields: { a: 'permute', b: 'permute' },
    server: [
      { _id: 1, a: new Int32(4711), b: id },
      { _id: 2, a: long, b: 'AB-1234567' },
    ],
    left: [{ _id: 3, a: new UUID() }],
  },
  js: {
    fields: {
      a: { js: "value => hash(value).slice(0, 8) + Math.floor(random() * 1000) + '@' + value.split('@')[1]" },
      b: { js: 'v => v.length > 3 ? null : v.toUpperCase()' },
    },
    server: [
      { _id: 1, a: 'ann@shop.test', b: 'abc' },
      { _id: 2, b: 'abcd' },
    ],
    left: [{ _id: 3, b: new Int32(1) }],
  },
  'js without clock or chance': {
    fields: { a: { js: 'v => String(typeof Date) + Math.random()' }, b: 'keep' },
    server: [{ _id: 1, b: 1 }],
    left: [{ _id: 2, a: 'x' }],
  },
  'dotted paths': {
    fields: { 'address.street': 'street', 'address.city': 'keep', 'address.geo.lat': 'null' },
    server: [
      { _id: 1, address: { street: 'Main St 1', city: 'Rome', geo: { lat: 1 } } },
      { _id: 2, address: null },
    ],
    left: [{ _id: 3, address: { street: 'Main St 1', secret: 1 } }],
  },
  arrays: {
    fields: { 'orders[].note': 'drop', 'orders[].total': { range: 10 }, 'tags[]': { constant: 'tag' } },
    server: [
      { _id: 1, orders: [{ note: 'x', total: new Int32(14) }, { total: new Int32(3) }], tags: ['a', 'b'] },
      { _id: 2, orders: [] },
    ],
    left: [{ _id: 3, orders: [{ total: new Int32(1), other: 1 }] }],
  },
  maps: {
    fields: { 'tiers.*.id': 'hash', 'tiers.*.active': 'keep' },
    server: [
      { _id: 1, tiers: { gold: { id: 'a', active: true }, iron: { id: 'b' } } },
      { _id: 2, tiers: {} },
    ],
    left: [{ _id: 3, tiers: { gold: { other: 1 } } }],
  },
  'rule per type': {
    fields: { phone: { types: { string: 'phone', int: 'permute', else: 'block' } } },
    server: [
      { _id: 1, phone: '+49 151 23456789' },
      { _id: 2, phone: new Int32(1512345) },
      { _id: 3, phone: null },
    ],
    left: [{ _id: 4, phone: true }],
  },
  'unlisted keep': { fields: { a: 'null' }, unlisted: 'keep', server: [{ _id: 1, a: 1, b: { c: 2 } }] },
  'unlisted null': {
    fields: { a: 'keep', 'b.c': 'keep' },
    unlisted: 'null',
    server: [
      { _id: 1, a: 1, z: 'x', b: { c: 1, d: 2 } },
      { _id: 2, z: { y: 1 } },
    ],
  },
  'unlisted block': { fields: { a: 'keep' }, server: [{ _id: 1, a: 1 }], left: [{ _id: 2, z: null }] },
  derive: {
    fields: { secret: 'drop', b: 'keep' },
    derive: { secretHash: { from: 'secret', apply: 'hash' }, copy: { from: 'b', apply: { hash: 12 } } },
    server: [
      { _id: 1, secret: 's', b: new Int32(5) },
      { _id: 2, secret: null, secretHash: 'old' },
      { _id: 3, copy: 'gone' },
      { _id: 4, secret: at, b: id },
    ],
    left: [{ _id: 5, secret: [1] }],
  },
  'bare shape': {
    fields: { '*': 'drop', _id: 'keep' },
    derive: { dataHash: { from: 'sensitiveData', apply: 'hash' } },
    server: [
      { _id: 1, sensitiveData: 'x', anything: { else: 1 } },
      { _id: 2, other: 1 },
    ],
  },
  'everything but the id': {
    fields: { _id: 'keep', '*': { constant: 'x' } },
    server: [{ _id: 1, a: 'b', c: 'd' }],
    left: [{ _id: 2, a: 1 }],
  },
};

function rulesOf({ fields, derive = {}, unlisted = 'block' }: Case): CollectionRules {
  const parsed = parseFields({ _id: 'keep', ...fields }, derive);
  if ('errors' in parsed) throw new Error(parsed.errors.map(({ message }) => message).join('\n'));
  return { collection: 'shop.customers', ...parsed, unlisted };
}

function compiled(rules: CollectionRules, allowKeyOnServer = true): Pushdown {
  const made = compilePushdown(rules, keys, { allowKeyOnServer });
  if ('refused' in made) throw new Error(made.refused.join('\n'));
  return made.pushdown;
}

const text = (document: Document) => BSON.EJSON.stringify(document, { relaxed: true });

/** Documents that the server merged, and `_id`s that it left, against what a worker makes of each. */
function compare(transform: DocumentTransform, pushdown: Pushdown, documents: readonly Document[]) {
  const raw = documents.map((document) => BSON.serialize(document));
  const worker = transform.apply(raw);
  const { merge, left } = pipelinesOf(pushdown, {}, { schema: 'shop_copy', name: 'customers' });
  const merged = new Map(
    runPipeline(raw.map(plain), merge).written.map((document) => [document._id, document]),
  );
  const leftOver = new Set(left ? runPipeline(raw.map(plain), left).given.map(({ _id }) => _id) : []);
  for (const [index, document] of documents.entries()) {
    const output = worker.documents[index]!;
    const made = merged.get(document._id);
    expect(leftOver.has(document._id), 'either merged or left').toBe(made === undefined);
    if (made === undefined) continue;
    expect(output, 'a document that a worker refuses is left').not.toBeNull();
    expect(text(made)).toBe(text(plain(output)));
  }
  return { merged, leftOver };
}

beforeAll(loadSandbox);

describe('pushdown', () => {
  for (const [name, given] of Object.entries(CASES)) {
    it(`${name}: the server makes what a worker makes`, () => {
      const rules = rulesOf(given);
      const transform = compileDocuments(rules, keys);
      const { merged, leftOver } = compare(transform, compiled(rules), [
        ...given.server,
        ...(given.left ?? []),
      ]);
      expect([...merged.keys()]).toEqual(given.server.map(({ _id }) => _id));
      expect([...leftOver]).toEqual((given.left ?? []).map(({ _id }) => _id));
    });
  }

  it('agrees with the worker on documents of any shape', { timeout: 120_000 }, () => {
    const scalar = fc.oneof(
      fc.constantFrom<unknown>(
        'ann@shop.test',
        '2024-02-29',
        '+49 151 23456789',
        '-',
        '',
        'DE-4711',
        null,
        true,
        at,
        id,
        long,
      ),
      fc.constantFrom<unknown>(Decimal128.fromString('1.50'), new UUID(Buffer.alloc(16, 1)), new Double(2.5)),
      fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }).map((value) => new Int32(value)),
      fc.string({ unit: 'grapheme', maxLength: 12 }).filter((value) => !value.includes('\0')),
    );
    const name = fc.constantFrom('a', 'b', 'c', 'address', 'orders', 'tiers', 'secret', 'z');
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        scalar,
        scalar,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(name, tie('value'), { maxKeys: 3 }),
      ),
    }));
    const document = fc.dictionary(name, value, { maxKeys: 5 });
    const inner = fc.constantFrom<[string, unknown]>(
      ['address.a', 'hash'],
      ['orders[].b', { range: 7 }],
      ['tiers.*.c', 'null'],
      ['tiers.*', 'keep'],
      ['address', 'drop'],
      ['orders[]', 'scramble'],
    );
    const outer = fc.constantFrom<[string, unknown]>(
      ['a', 'email'],
      ['a', { types: { string: 'phone', int: 'noise', else: 'keep' } }],
      ['b', 'drop'],
      ['b', { mask: 2 }],
      ['c', 'null'],
      ['c', { types: { array: 'drop', date: { dateTruncate: 'month' }, else: 'block' } }],
      ['z', 'keep'],
    );
    const fields = fc
      .tuple(fc.array(inner, { maxLength: 3 }), fc.array(outer, { maxLength: 3 }))
      .map(([some, others]) => Object.fromEntries([...some, ...others]));
    const unlisted = fc.constantFrom<CollectionRules['unlisted']>('block', 'keep', 'null');
    const derive = fc.constantFrom(
      {},
      { made: { from: 'secret', apply: 'hash' } },
      { a: { from: 'address.b', apply: 'hash' } },
    );
    fc.assert(
      fc.property(
        fields,
        unlisted,
        derive,
        fc.array(document, { minLength: 1, maxLength: 6 }),
        (some, rest, more, documents) => {
          const rules = rulesOf({ fields: some, derive: more, unlisted: rest, server: [] });
          const numbered = documents.map((one, index) => ({ _id: index, ...one }));
          compare(compileDocuments(rules, keys), compiled(rules), numbered);
        },
      ),
      { numRuns: 150, seed: 11 },
    );
  });

  it('refuses what the server can do in no document, and says why', () => {
    const refusedFor = (fields: Record<string, unknown>, allowKeyOnServer = true) => {
      const made = compilePushdown(rulesOf({ fields, server: [] }), keys, { allowKeyOnServer });
      return 'refused' in made ? made.refused : [];
    };
    expect(refusedFor({ a: 'hash' }, false)).toEqual([expect.stringContaining('allowKeyOnServer: true')]);
    expect(refusedFor({ a: { js: 'v => hash(v)' } }, false)).toEqual([
      expect.stringContaining('random or hash'),
    ]);
    expect(refusedFor({ a: { mask: 1 } }, false)).toEqual([]);
    expect(refusedFor({ '**.a': 'hash' })).toEqual([expect.stringContaining('**')]);
    expect(refusedFor({ 'a[0]': 'hash' })).toEqual([expect.stringContaining('index')]);
    expect(refusedFor({ 'a.*~': 'hash' })).toEqual([expect.stringContaining('keys that are data')]);
    expect(refusedFor({ a: { dateShift: 30 } })).toEqual([expect.stringContaining('reads other fields')]);
    expect(refusedFor({ a: { regexReplace: [{ pattern: 'x', with: 'y' }] } })).toEqual([
      expect.stringContaining('works in the worker only'),
    ]);
  });

  it('shows no key where the pipeline is only looked at', () => {
    const rules = rulesOf({ fields: { a: 'hash', b: { js: 'v => hash(v)' } }, server: [] });
    const shown = compilePushdown(rules, keys, {
      allowKeyOnServer: true,
      keyText: (domain) => `key of ${domain}`,
    });
    const key = Buffer.from(keys.domainKey('shop.customers.a')).toString('hex');
    expect(JSON.stringify(shown)).not.toContain(key);
    expect(JSON.stringify(shown)).toContain('key of shop.customers.a');
    expect(JSON.stringify(compiled(rules))).toContain(key);
  });

  it('warns of functions and of keys', () => {
    expect(compiled(rulesOf({ fields: { a: 'null' }, server: [] })).warnings).toEqual([]);
    expect(compiled(rulesOf({ fields: { a: { js: 'v => v' } }, server: [] })).warnings).toHaveLength(1);
    expect(compiled(rulesOf({ fields: { a: 'hash' }, server: [] })).warnings).toEqual([
      expect.stringContaining('$function'),
      expect.stringContaining('keys'),
    ]);
  });
});

describe('the library of the server', () => {
  it('is made of the present sources: run `node scripts/pushdown.mjs`', () => {
    const file = new URL('../../../mongo/pushdown/library.json', import.meta.url);
    expect(readFileSync(file, 'utf8') === library()).toBe(true);
  });

  it('has the AES and the HKDF of OpenSSL', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 48, maxLength: 48 }),
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 100 }),
        (key, blocks, info, length) => {
          for (const mode of ['ecb', 'cbc']) {
            const iv = mode === 'cbc' ? new Uint8Array(16) : null;
            const node = nodeCipher(`aes-256-${mode}`, key, iv).setAutoPadding(false).update(blocks);
            expect(Buffer.from(createCipheriv(`aes-256-${mode}`, key).update(blocks))).toEqual(node);
          }
          const derived = hkdfSync('sha256', key, info, info, length);
          expect(Buffer.from(derived)).toEqual(Buffer.from(nodeHkdf('sha256', key, info, info, length)));
        },
      ),
      { seed: 5 },
    );
  });
});
