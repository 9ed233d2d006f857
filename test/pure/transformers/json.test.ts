import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matcher, parsePath, type Step } from '../../../json/path.js';
import { JsonMistake, scanLeaves } from '../../../json/text.js';
import { accepts, HOSTILE, one, proof, run, spec, type } from './support.js';

const JSONB = { type: type('json', { name: 'jsonb' }) };
const json = (options: Record<string, unknown>) => ({ json: options });

describe('paths', () => {
  test.each<[string, readonly Step[]]>([
    ['$', []],
    [
      '$.address.street',
      [
        { deep: false, key: 'address' },
        { deep: false, key: 'street' },
      ],
    ],
    [
      '$.tags[*]',
      [
        { deep: false, key: 'tags' },
        { deep: false, key: null },
      ],
    ],
    [
      '$[0].*',
      [
        { deep: false, key: 0 },
        { deep: false, key: null },
      ],
    ],
    [
      '$[\'unit price\']["a\\"b"]',
      [
        { deep: false, key: 'unit price' },
        { deep: false, key: 'a"b' },
      ],
    ],
    ['$..email', [{ deep: true, key: 'email' }]],
    ['$..*', [{ deep: true, key: null }]],
    ['$..[2]', [{ deep: true, key: 2 }]],
    [
      '$.straße.first-name._x$',
      [
        { deep: false, key: 'straße' },
        { deep: false, key: 'first-name' },
        { deep: false, key: '_x$' },
      ],
    ],
  ])('%s', (text, expected) => {
    expect(parsePath(text)).toEqual(expected);
  });

  test.each([
    '',
    'a.b',
    '$a',
    '$.',
    '$..',
    '$.a.',
    '$[',
    '$[]',
    '$[a]',
    '$.a b',
    '$[-1]',
    "$['a]",
    '$.[0]',
    '$...a',
  ])('%j is none', (text) => {
    expect(typeof parsePath(text)).toBe('string');
  });

  test('states are few, whatever the document', () => {
    const root = matcher([parsePath('$.a[*].b'), parsePath('$..c')] as (readonly Step[])[]);
    expect(root.child('x')).toBe(root.child('y'));
    expect(root.child('a').child(0)).toBe(root.child('a').child(999));
    expect(root.child('a').child(3).child('b').path).toBe(0);
    expect(root.child('z').child('z').child('c').child('deeper').path).toBe(1);
  });
});

describe('reading', () => {
  const root = matcher([]);

  test('takes exactly what JSON.parse takes', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '\\',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'null',
      ' ',
      '\n',
      '\\u0041',
      '\u0001',
      '\v',
      'é',
    ];
    const text = fc.oneof(
      fc.json(),
      fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(text, (value) => {
        let valid = true;
        try {
          JSON.parse(value);
        } catch {
          valid = false;
        }
        if (valid) expect(scanLeaves(value, root).length).toBeGreaterThan(0);
        else expect(() => scanLeaves(value, root)).toThrow(JsonMistake);
      }),
      { numRuns: 3000 },
    );
  });

  test('finds every leaf', () => {
    const count = (value: unknown): number => {
      if (typeof value !== 'object' || value === null) return 1;
      return Object.values(value).reduce((sum: number, inner) => sum + count(inner), 0) || 1;
    };
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(scanLeaves(JSON.stringify(value, null, 1), root)).toHaveLength(count(value));
      }),
    );
  });

  test('too deep is a mistake, not a crash', () => {
    expect(() => scanLeaves('['.repeat(100_000), root)).toThrow(/deeper than 1000/);
    expect(scanLeaves(`${'['.repeat(900)}1${']'.repeat(900)}`, root)).toHaveLength(1);
  });
});

describe('json', () => {
  test('applies transformers to paths and keeps all else as it is written', () => {
    const document =
      '{ "z" : {"street":"Elm St 5","zip":[1.50, 2e3]},\t"a":true, "a": null, "tags":["x","yy"] }';
    const out = one(
      json({ '$.z.street': 'scramble', '$.tags[*]': { constant: 'T' }, rest: 'keep' }),
      document,
      JSONB,
    )!;
    expect(out).toMatch(
      /^\{ "z" : \{"street":"[A-Z][a-z]{2} [A-Z][a-z] \d","zip":\[1\.50, 2e3\]\},\t"a":true, "a": null, "tags":\["T","T"\] \}$/,
    );
  });

  test('a deep path finds its name at every depth; the first path in the file wins', () => {
    const document = '{"email":"a@b.c","x":[{"email":"a@b.c","n":1}]}';
    expect(one(json({ '$..email': { constant: 'E' }, '$.x[*].*': 'keep' }), document, JSONB)).toBe(
      '{"email":"E","x":[{"email":"E","n":1}]}',
    );
    expect(one(json({ '$.x': 'keep', '$..email': { constant: 'E' } }), document, JSONB)).toBe(
      '{"email":"E","x":[{"email":"a@b.c","n":1}]}',
    );
  });

  test('a path to an object or array is for all in it', () => {
    expect(
      one(
        json({ '$.address': 'null', '$.ids[1]': { constant: '9' }, rest: 'keep' }),
        '{"address":{"a":"x","b":{"c":1}},"ids":[1,2,{"k":3}]}',
        JSONB,
      ),
    ).toBe('{"address":{"a":null,"b":{"c":null}},"ids":[1,9,{"k":3}]}');
  });

  test('scalars, at the top', () => {
    expect(one(json({ $: 'scramble' }), '"abc"', JSONB)).toMatch(/^"(?!abc)[a-z]{3}"$/);
    expect(one(json({ $: 'keep' }), 'null', JSONB)).toBe('null');
  });

  test('types stay: numbers are numbers, digit by digit', () => {
    expect(one(json({ $: 'noise' }), '12345678901234567890.10', JSONB)).toMatch(/^1\d{19}\.\d0$/);
    expect(one(json({ '$.n': { range: 10 }, '$.b': { constant: false } }), '{"n":37,"b":true}', JSONB)).toBe(
      '{"n":30,"b":false}',
    );
    const failures = [
      [json({ '$.n': 'scramble' }), '{"n":4711}', '$.n: scramble cannot take a number, at depth 1'],
      [json({ '$.n': { mask: 1 } }), '{"n":[true]}', '$.n: mask cannot take a boolean, at depth 2'],
      [json({ '$.n': 'creditCard' }), '{"n":"4711"}', '$.n: not a card number of 12 to 19 digits'],
    ] as const;
    for (const [raw, document, reason] of failures)
      expect(run(raw, [document], JSONB).failed.get(0)).toBe(reason);
  });

  test('null and empty containers stay where a path names them', () => {
    expect(one(json({ '$.a': 'scramble' }), '{"a":[null,{},[]]}', JSONB)).toBe('{"a":[null,{},[]]}');
  });

  test('rest: block refuses what no path names, empty and null as well, and tells no name', () => {
    const raw = json({ '$.known': 'keep' });
    for (const hidden of ['"x"', '1', 'true', 'null', '{}', '[]', '{"known":1}']) {
      const { out, failed } = run(raw, [`{"known":1,"secret":${hidden}}`], JSONB);
      expect(out).toEqual([null]);
      expect(failed.get(0)).toMatch(/^no path names a value \(\w+\), at depth [12]$/);
    }
    expect(run(raw, ['{"known":{"any":[1,"x"]}}', '{}'], JSONB).out[0]).toBe('{"known":{"any":[1,"x"]}}');
    expect(run(json({}), ['{}'], JSONB).failed.size).toBe(1);
  });

  test('rest: block lets nothing pass where a path would have gone on', () => {
    const raw = json({ '$.contacts[*].name': 'scramble' });
    for (const text of ['{"contacts":[]}', '{"contacts":null}', '{"contacts":[{}]}', '{}']) {
      expect(run(raw, [text], JSONB)).toMatchObject({ out: [text] });
    }
    expect(run(raw, ['{"contacts":[],"more":[]}'], JSONB).failed.size).toBe(1);
    expect(run(raw, ['{"contacts":["x"]}'], JSONB).failed.size).toBe(1);
  });

  test('rest: null, scramble and keep', () => {
    const document = '{"s":"Ann 1","n":-10.50,"z":0.25e-3,"b":true,"e":{},"x":null}';
    expect(one(json({ rest: 'null' }), document, JSONB)).toBe(
      '{"s":null,"n":null,"z":null,"b":null,"e":null,"x":null}',
    );
    expect(one(json({ rest: null }), document, JSONB)).toBe(one(json({ rest: 'null' }), document, JSONB));
    expect(one(json({ rest: 'keep' }), document, JSONB)).toBe(document);
    expect(one(json({ rest: 'scramble' }), document, JSONB)).toMatch(
      /^\{"s":"[A-Z][a-z]{2} \d","n":-[1-9]\d\.\d\d,"z":0\.\d\de-3,"b":false,"e":\{\},"x":null\}$/,
    );
  });

  test('escapes: a value is what it stands for, a result is written right', () => {
    const { out } = run(
      json({ '$..s': 'keep', "$['\u00e9']": { mask: { keepFirst: 1 } } }),
      ['{"\\u00e9":"\\u0041\\n\\"\\\\","q":{"s":"\\u0000\\ud800"}}'],
      JSONB,
    );
    expect(out[0]).toBe('{"\\u00e9":"A***","q":{"s":"\\u0000\\ud800"}}');
    for (const value of HOSTILE) {
      if (value === null) continue;
      const result = JSON.parse(
        one(json({ $: { mask: { keepFirst: 1000 - 1, with: '*' } } }), JSON.stringify(value), JSONB)!,
      ) as string;
      expect(result).toBe('*'.repeat(Array.from(value).length));
    }
  });

  test('equal values at one path become equal in every row and place', () => {
    const { out } = run(
      json({ '$..n': 'scramble' }),
      ['[{"n":"ann"},{"n":"bob"},{"n":"ann"}]', '{"n":"ann"}'],
      JSONB,
    );
    const [a, b, c] = (JSON.parse(out[0]!) as { n: string }[]).map(({ n }) => n);
    expect(a).toBe(c);
    expect(a).not.toBe(b);
    expect(JSON.parse(out[1]!)).toEqual({ n: a });
  });

  test('a row that fails does not disturb the others', () => {
    const { out, failed } = run(
      json({ '$.c': 'creditCard' }),
      ['{"c":"4111111111111111"}', '{"c":"x","d":1}', null, '{"c":"4111111111111111"}'],
      JSONB,
    );
    expect(out[0]).toBe(out[3]);
    expect(out.slice(1, 3)).toEqual([null, null]);
    expect([...failed.keys()]).toEqual([1]);
  });

  test('JSON in text columns: what is none follows onInvalid, and length is kept in', () => {
    expect(run(json({ $: 'scramble' }), ['{"a":', 'Ann', ''], {}).failed.get(1)).toBe('not JSON');
    expect(one(json({ $: 'scramble', onInvalid: 'scramble' }), 'Ann')).toMatch(/^[A-Z][a-z]{2}$/);
    const short = { type: type('text', { maxLength: 10 }) };
    expect(run(json({ $: { constant: 'long enough' } }), ['{"a":"b"}'], short).failed.get(0)).toMatch(
      /longer than 10/,
    );
    expect(accepts(json({}), type('int4'))).toMatch(/json/);
  });

  test('mistakes are told when the file is read', () => {
    expect(() => spec(json({ '$.a': 'scrambel' }))).toThrow(/scramble/);
    expect(() => spec(json({ 'a.b': 'mask' }))).toThrow(/starts with \$/);
    expect(() => spec(json({ '$.a[': 'mask' }))).toThrow(/character/);
    expect(() => spec(json({ rest: 'drop' }))).toThrow(/rest/);
    expect(spec(json({ '$.a': { mask: 4 } })).options).toEqual({
      '$.a': spec({ mask: 4 }),
      rest: 'block',
      onInvalid: 'fail',
    });
    expect(spec(spec(json({ '$.a': { mask: 4 }, rest: 'keep' })))).toEqual(
      spec(json({ '$.a': { mask: 4 }, rest: 'keep' })),
    );
  });

  test('keeps every document that it is told to keep, byte by byte', () => {
    fc.assert(
      fc.property(fc.json(), (document) => {
        expect(one(json({ rest: 'keep' }), document, JSONB)).toBe(document);
        const blanked = JSON.parse(one(json({ rest: 'scramble' }), document, JSONB)!) as unknown;
        expect(shape(blanked)).toEqual(shape(JSON.parse(document)));
      }),
    );
    expect(proof(json({})).mayEqualInput).toBe(true);
  });
});

/** The document with types in the place of values. */
function shape(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  if (Array.isArray(value)) return value.map(shape);
  return Object.entries(value).map(([key, inner]) => [key, shape(inner)]);
}
