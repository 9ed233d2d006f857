import { describe, expect, it } from 'vitest';
import { jobKeys } from '../../../anonymize/keys.js';
import { sealingWith } from '../../../anonymize/sealing.js';
import type { TransformerSpec } from '../../../anonymize/transformer.js';
import { prepareDocuments } from '../../../mongo/documents/compile.js';
import { parseFields } from '../../../mongo/documents/rules.js';
import { recognizerOf } from '../../../mongo/recognize.js';
import type { CollectionRules } from '../../../plan/documents/types.js';
import type { TablePlan } from '../../../plan/plan.js';
import { SealedLook } from '../../../quality/sealedDocuments.js';
import { ringOf } from '../retention/scene.js';
import { type RawValue, raw, rawDocument } from './raw.js';

const DAY = '2026-03-10';
const base = { name: 'x', window: 3, store: 'main', context: '', expired: '[expired]' };
const policyOf = (id: string) => ({ ...base, id, deterministic: false, requireGrade: 'bestEffort' }) as const;
const policies = { ip: policyOf('ip'), us: policyOf('us') };
const rings = [ringOf([DAY]), ringOf([DAY], { policy: 'us' })];
const keys = {
  ...jobKeys(Buffer.alloc(32, 7)),
  sealing: sealingWith({ day: DAY, policies, rings, contexts: [] }),
};

/** Names of derived fields are what a job file says, whatever their signs. */
function rulesOf(
  fields: Record<string, unknown>,
  derive: Record<string, { from: string; apply: TransformerSpec }> = {},
): CollectionRules {
  const parsed = parseFields(fields);
  if ('errors' in parsed) throw new Error(parsed.errors.map(({ message }) => message).join('\n'));
  return {
    collection: 'shop.visits',
    fields: parsed.fields.map((field) => ({ ...field, domain: field.path })),
    derive: Object.entries(derive).map(([name, field]) => ({
      ...{ rule: 'fields', name, domain: name },
      ...field,
    })),
    unlisted: 'keep',
  };
}

function lookOf(rules: CollectionRules): SealedLook {
  const columns = [...rules.fields, ...rules.derive].map((rule) => ({
    name: 'path' in rule ? rule.path : rule.name,
    branches: [{ rule: '', apply: rule.apply }],
  }));
  return new SealedLook({ id: 1, columns, collection: { rules } } as unknown as TablePlan, { policies });
}

async function transformed(rules: CollectionRules, document: Uint8Array): Promise<Uint8Array> {
  const { documents, refused } = (await prepareDocuments(rules, keys)).apply([document]);
  expect(refused).toEqual([]);
  return documents[0]!;
}

const UUID = raw.binary(4, Buffer.alloc(16, 1));
const BYTES = raw.binary(0, Buffer.alloc(16, 1));
const TEXT = raw.string('192.0.2.7');
const IP = { retain: 'ip' };
const SEALED = { name: 'retain', options: { policy: 'ip' } };
const HASHED = { name: 'hash', options: {} };

describe('the look at sealed fields of documents', () => {
  it.each<[string, object, RawValue, RawValue]>([
    ['bytes beside sealed UUIDs', { uuid: IP, else: 'keep' }, BYTES, UUID],
    ['a double beside sealed ints', { int: IP, else: 'keep' }, raw.double(5), raw.int(5)],
    ['a long beside sealed ints', { int: IP, else: 'keep' }, raw.long(5n), raw.int(5)],
    ['an int beside sealed longs', { long: IP, else: 'keep' }, raw.int(5), raw.long(5n)],
    ['a long beside sealed doubles', { double: IP, else: 'keep' }, raw.long(5n), raw.double(5)],
    ['a timestamp', { timestamp: 'keep', else: IP }, raw.timestamp(5n), TEXT],
    ['a regular expression', { regex: 'keep', else: IP }, raw.regex('x', 'i'), TEXT],
    ['a symbol beside sealed strings', { symbol: 'keep', else: IP }, raw.symbol('x'), TEXT],
    ['bytes', { binData: 'keep', else: IP }, BYTES, UUID],
    ['a document', { object: 'keep', else: IP }, raw.object([['x', raw.array([TEXT])]]), TEXT],
    ['an array', { array: 'keep', else: IP }, raw.array([raw.object([['x', TEXT]])]), TEXT],
    ['what lies in a document', { string: IP, else: 'keep' }, raw.object([['x', TEXT]]), TEXT],
  ])('leaves %s alone that a type keeps', async (_, types, kept, sealed) => {
    const rules = rulesOf({ a: { types } });
    const look = lookOf(rules);
    const document = rawDocument([['a', kept]]);
    const unchanged = await transformed(rules, document);
    expect(unchanged).toEqual(document);
    look.look(unchanged);
    expect(look.columns(true).filter(({ plain }) => plain > 0)).toEqual([]);
    look.look(rawDocument([['a', sealed]]));
    expect(look.columns(true)).toMatchObject([{ column: 'a', plain: 1 }]);
  });
  it('knows the tokens of all types of a field', async () => {
    const rules = rulesOf({ a: { types: { int: { retain: 'us' }, else: IP } } });
    const look = lookOf(rules);
    for (const value of [raw.int(5), TEXT]) look.look(await transformed(rules, rawDocument([['a', value]])));
    expect(look.columns(true)).toMatchObject([{ looked: 2, plain: 0, foreign: 0 }]);
  });

  it('goes through a reference of the kind that drivers make, and repeated names', async () => {
    const rules = rulesOf({ a: IP });
    const reference = raw.object([
      ['$ref', raw.string('users')],
      ['$id', raw.int(5)],
    ]);
    const look = lookOf(rules);
    const document = rawDocument([
      ['a', reference],
      ['a', TEXT],
    ]);
    look.look(await transformed(rules, document));
    expect(look.columns(true).map(({ looked, plain }) => [looked, plain])).toEqual([
      [1, 0],
      [2, 0],
    ]);
  });

  it.each<[string, object, object, string[] | undefined]>([
    ['fields and derived ones', { 'a.b': IP }, { c: { from: 'x', apply: SEALED } }, ['a', 'c']],
    ['a dot', { a: IP }, { 'a.b': { from: 'x', apply: SEALED } }, undefined],
    ['an operator', {}, { $a: { from: 'x', apply: SEALED } }, undefined],
    ['a field with a dot', { "'a.b'": IP }, {}, undefined],
    ['a wildcard', { '*.a': IP }, {}, undefined],
  ])(
    'reads whole documents where a projection cannot name what it looks at: %s',
    (_, fields, derive, names) => {
      expect(lookOf(rulesOf({ ...fields }, { ...derive })).names).toEqual(names);
    },
  );
});

describe('documents with sealed fields', () => {
  const X: [string, RawValue] = ['x', raw.string('kept')];

  it.each<[string, object, object, string]>([
    ['in the place of its source', { mail: 'drop' }, { mail: { from: 'mail', apply: SEALED } }, 'mail'],
    ['with a dot', {}, { 'a.b': { from: 'mail', apply: SEALED } }, 'a.b'],
    ['with the signs of paths', {}, { "it's\\ a*~": { from: 'mail', apply: SEALED } }, "it's\\ a*~"],
  ])('are the same where the derived one %s holds the same', async (_, fields, derive, name) => {
    const rules = rulesOf({ x: 'keep', ...fields }, { ...derive });
    const recognizer = await recognizerOf(rules, keys);
    const make = (mail: string) => transformed(rules, rawDocument([X, ['mail', raw.string(mail)]]));
    const [made, again, other] = [await make('ann'), await make('ann'), await make('bob')];
    expect(Buffer.from(made).includes(`${name}\0`)).toBe(true);
    expect(recognizer.compare([{ made, there: again }])).toEqual([{ same: true, opened: 1 }]);
    const [compared] = recognizer.compare([{ made, there: other }]);
    expect(compared!.same).toBe(false);
  });

  it('differ where a derived one differs that is not sealed', async () => {
    const rules = rulesOf({ '*': IP }, { h: { from: 'a', apply: HASHED } });
    const recognizer = await recognizerOf(rules, keys);
    const made = await transformed(rules, rawDocument([['a', TEXT]]));
    const there = Buffer.from(made);
    const at = there.indexOf('h\0') + 6;
    there[at] = there[at] === 0x30 ? 0x31 : 0x30;
    expect(recognizer.compare([{ made, there: made }])[0]!.same).toBe(true);
    expect(recognizer.compare([{ made, there }])[0]!.same).toBe(false);
  });

  it('differ where a value differs that its type keeps', async () => {
    const rules = rulesOf({ a: { types: { uuid: 'keep', else: IP } } });
    const recognizer = await recognizerOf(rules, keys);
    const [made, there] = [1, 2].map((n) => rawDocument([['a', raw.binary(4, Buffer.alloc(16, n))]]));
    expect(recognizer.compare([{ made: made!, there: there! }])[0]!.same).toBe(false);
  });
});
