import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalColumn, canonicalNumber } from '../../anonymize/canonical.js';
import { compileColumn, compileTable, type SourceChunk } from '../../anonymize/compile.js';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { canonicalPrf, partPrf } from '../../anonymize/prf.js';
import {
  getTransformer,
  parseSpec,
  specHash,
  specSchema,
  transformerNames,
  versions,
} from '../../anonymize/registry.js';
import type { Column, ColumnType, TransformerSpec } from '../../anonymize/transformer.js';
import { LetheError } from '../../errors/errors.js';

const KEY = new Uint8Array(32).fill(5);
const TEXT: ColumnType = { kind: 'text', name: 'text', nullable: true, equality: 'exact' };

function spec(raw: unknown): TransformerSpec {
  const parsed = parseSpec(raw);
  if ('spec' in parsed) return parsed.spec;
  throw new Error(parsed.errors.join('\n'));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('canonical values', () => {
  it.each([
    ['1.0', '1'],
    ['1.00', '1'],
    ['1e0', '1'],
    ['+1', '1'],
    ['0001', '1'],
    ['-0', '0'],
    ['-0.00', '0'],
    ['0', '0'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['1.50', '1.5'],
    ['-1.5e3', '-1500'],
    ['1E-3', '0.001'],
    ['12e-1', '1.2'],
    ['100', '100'],
    ['-100', '-100'],
    ['NaN', 'NaN'],
    ['Infinity', 'Infinity'],
    ['', ''],
    ['1e999999999', '1e999999999'],
  ])('writes the number %s as %s', (value, expected) => {
    expect(canonicalNumber(value)).toBe(expected);
  });

  it('gives every spelling of a number one text', () => {
    const number = fc.record({
      whole: fc.bigInt(),
      zeros: fc.nat(5),
      shift: fc.integer({ min: -30, max: 30 }),
    });
    fc.assert(
      fc.property(number, ({ whole, zeros, shift }) => {
        const plain = canonicalNumber(`${whole}`);
        expect(canonicalNumber(`${whole}.${'0'.repeat(zeros)}`)).toBe(plain);
        expect(canonicalNumber(canonicalNumber(`${whole}e${shift}`))).toBe(
          canonicalNumber(`${whole}e${shift}`),
        );
        expect(canonicalNumber(`${canonicalNumber(`${whole}e${shift}`)}e${-shift}`)).toBe(plain);
      }),
    );
  });

  it('folds letters one by one, so that a word-final sigma equals another', () => {
    expect(canonicalColumn(['ΟΔΟΣ', 'οδοσ', 'E\u0301', 'é', null], 'caseless')).toEqual([
      'οδοσ',
      'οδοσ',
      'é',
      'é',
      null,
    ]);
  });

  it('drops the padding of char(n) and nothing else', () => {
    expect(canonicalColumn(['ab  ', ' ab', 'ab\t', '  ', null], 'padded')).toEqual([
      'ab',
      ' ab',
      'ab\t',
      '',
      null,
    ]);
  });
});

describe('job keys', () => {
  it('takes exactly 32 bytes of base64', () => {
    const text = Buffer.from(KEY).toString('base64');
    expect(parseJobKey(`${text}\n`)).toEqual(KEY);
    for (const wrong of ['', 'secret', text.slice(4), `${text}AAAA`, text.replace('=', ''), ` ${text}!`]) {
      expect(() => parseJobKey(wrong)).toThrow(LetheError);
      expect(() => parseJobKey(wrong)).toThrow('lethe keygen');
    }
  });

  it('changes what is linkable with the run, and nothing else', () => {
    const job = jobKeys(KEY);
    const run = jobKeys(KEY, 'run-1');
    const bytes = (keys: typeof job): string => hex(keys.domain('d').bytes('l', ['x']));
    expect(bytes(jobKeys(KEY))).toBe(bytes(job));
    expect(bytes(run)).not.toBe(bytes(job));
    expect(bytes(jobKeys(KEY, 'run-2'))).not.toBe(bytes(run));
    expect(run.check).toBe(job.check);
    expect(run.check).toMatch(/^[0-9a-f]{16}$/);
    expect(run.digest('x')).toBe(job.digest('x'));
    expect(run.ledger.open(job.ledger.seal('bound', 'b'), 'b')).toBe('bound');
    expect(run.signing.publicKey).toBe(job.signing.publicKey);
  });

  it('gives domains, labels, parts and keys functions of their own', () => {
    const prf = jobKeys(KEY).domain('d');
    const outputs = [
      prf.bytes('l', ['x']),
      prf.bytes('m', ['x']),
      jobKeys(KEY).domain('e').bytes('l', ['x']),
      jobKeys(new Uint8Array(32)).domain('d').bytes('l', ['x']),
      partPrf(prf, 'a').bytes('b/c', ['x']),
      partPrf(prf, 'a/b').bytes('c', ['x']),
      partPrf(partPrf(prf, 'a'), 'b').bytes('c', ['x']),
    ].map(hex);
    expect(new Set(outputs).size).toBe(outputs.length);
  });

  it('depends on the value alone, not on its place or neighbours', () => {
    const prf = canonicalPrf(jobKeys(KEY).domain('d'), 'padded');
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.string({ unit: 'binary', maxLength: 300 }))),
        fc.string(),
        (others, value) => {
          const column = prf.bytes('l', [...others, `${value} `]);
          expect(hex(column.subarray(-16))).toBe(hex(prf.bytes('l', [value])));
        },
      ),
    );
  });
});

describe('specs', () => {
  const errors = (raw: unknown): string => {
    const parsed = parseSpec(raw);
    return 'errors' in parsed ? parsed.errors.join('\n') : 'none';
  };

  it('reads a name, and what it read before', () => {
    expect(parseSpec('keep')).toEqual({ spec: { name: 'keep', options: {} } });
    expect(parseSpec({ keep: null })).toEqual({ spec: { name: 'keep', options: {} } });
    expect(parseSpec({ name: 'keep', options: {} })).toEqual({ spec: { name: 'keep', options: {} } });
  });

  it('names the nearest transformer and option', () => {
    expect(errors('kep')).toContain('did you mean "keep"?');
    expect(errors('KEEP')).toContain('did you mean "keep"?');
    expect(errors('something-else-entirely')).toContain('known: ');
    expect(errors({ keep: { why: 1 } })).toContain('keep has no option "why"; it has no options');
    expect(errors({ keep: 4 })).toContain('keep takes its options as a map');
    expect(errors({ keep: {}, hash: {} })).toContain('has 2 keys: keep, hash');
    expect(errors([])).not.toBe('none');
    expect(errors(7)).not.toBe('none');
    expect(errors(undefined)).not.toBe('none');
    expect(() => getTransformer('kep')).toThrow('did you mean "keep"?');
  });

  it('has a schema that lists every transformer', () => {
    const schema = specSchema() as { anyOf: { enum?: string[]; properties?: Record<string, unknown> }[] };
    const maps = schema.anyOf.flatMap(({ properties }) => Object.keys(properties ?? {}));
    expect(maps).toEqual(transformerNames);
    expect(schema.anyOf[0]!.enum).toContain('keep');
  });

  it('pins versions', () => {
    const keep = { name: 'keep', options: {} };
    expect(versions([keep, keep])).toEqual({ keep: '1' });
    expect(specHash(keep)).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('a compiled table', () => {
  const keep = { name: 'keep', options: {} };
  const hash = spec('hash');
  const byKey = spec({ pick: { values: Array.from({ length: 1000 }, (_, i) => `pick ${i}`), by: 'key' } });
  const hashed = (domain: string, value: string): string | null =>
    compileColumn(
      hash,
      TEXT,
      jobKeys(KEY).domain(domain),
    )([value], { size: 1, fail: () => {}, source: () => [] })[0]!;
  const column = (
    name: string,
    ...branches: Parameters<typeof compileTable>[0]['columns'][number]['branches']
  ) => ({
    name,
    type: TEXT,
    domain: name,
    branches,
  });

  function chunk(columns: Record<string, Column>, conditions: Uint8Array[] = []): SourceChunk {
    return {
      size: Object.values(columns)[0]!.length,
      column: (name) => columns[name]!,
      condition: (index) => conditions[index]!,
    };
  }

  it('leaves columns alone that are only kept', () => {
    const table = compileTable(
      {
        key: [],
        columns: [
          column('a', { rule: 'r', apply: keep }),
          column('b', { rule: 'r', when: 0, apply: keep }, { rule: 's', apply: keep }),
        ],
      },
      jobKeys(KEY),
    );
    expect(table.writes).toEqual([]);
    expect(table.reads).toEqual([]);
    expect(table.transform(chunk({ a: ['x'] }))).toEqual({ columns: [], failed: [], rules: {}, equal: {} });
  });

  it('refuses a chain that ends open', () => {
    const open = column('a', { rule: 'r', when: 0, apply: hash });
    expect(() => compileTable({ key: [], columns: [open] }, jobKeys(KEY))).toThrow('no rule decides');
  });

  it('refuses a type that the transformer does not take, and a key that is not there', () => {
    const number = {
      ...column('a', { rule: 'r', apply: hash }),
      type: { ...TEXT, kind: 'int4', name: 'integer' } as const,
    };
    expect(() => compileTable({ key: [], columns: [number] }, jobKeys(KEY))).toThrow(
      'hash cannot take integer',
    );
    const keyed = column('a', { rule: 'r', apply: spec({ pick: { values: ['x', 'y'], by: 'key' } }) });
    expect(() => compileTable({ key: [], columns: [keyed] }, jobKeys(KEY))).toThrow("needs the row's key");
  });

  it('sends each row to the first branch that takes it', () => {
    const mapped = (text: string) => ({ name: 'constant', options: { value: text } });
    const table = compileTable(
      {
        key: [],
        columns: [
          column(
            'a',
            { rule: 'one', when: 1, apply: mapped('first') },
            { rule: 'two', when: 0, apply: hash, otherwise: mapped('other') },
            { rule: 'never', apply: mapped('third') },
          ),
        ],
      },
      jobKeys(KEY),
    );
    expect(table.conditions).toEqual([1, 0]);
    const zero = Uint8Array.of(1, 0, 1, 0, 1);
    const one = Uint8Array.of(1, 0, 0, 1, 0);
    const { columns, rules, equal } = table.transform(
      chunk({ a: ['v', 'w', 'x', 'first', null] }, [zero, one]),
    );
    expect(columns[0]).toEqual(['first', 'other', hashed('a', 'x'), 'first', null]);
    expect(rules).toEqual({ one: 2, two: 2 });
    expect(equal).toEqual({});
  });

  it('gives the same values through branches as without them', () => {
    const plain = compileTable(
      { key: ['id'], columns: [column('a', { rule: 'r', apply: byKey })] },
      jobKeys(KEY),
    );
    const split = compileTable(
      {
        key: ['id'],
        columns: [column('a', { rule: 'r', when: 0, apply: byKey }, { rule: 's', apply: byKey })],
      },
      jobKeys(KEY),
    );
    expect(plain.reads).toEqual(['a', 'id']);
    expect(split.writes).toEqual(['a']);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.option(fc.string()), fc.boolean(), fc.nat().map(String)), { minLength: 1 }),
        (rows) => {
          const columns = { a: rows.map(([value]) => value), id: rows.map(([, , id]) => id) };
          const flags = Uint8Array.from(rows, ([, flag]) => (flag ? 1 : 0));
          const expected = plain.transform(chunk(columns)).columns;
          expect(split.transform(chunk(columns, [flags])).columns).toEqual(expected);
        },
      ),
    );
  });

  it('tells keys of several columns apart', () => {
    const table = compileTable(
      { key: ['x', 'y'], columns: [column('a', { rule: 'r', apply: byKey })] },
      jobKeys(KEY),
    );
    const rows = { a: ['v', 'v', 'v', 'v'], x: ['1', '1,', '', '1,1:'], y: [',2', '2', '1,2', '2'] };
    const [out] = table.transform(chunk(rows)).columns;
    expect(new Set(out).size).toBe(4);
  });

  it('names row, column and rule of what fails, in the chunk, not in the branch', () => {
    const permute = spec('permute');
    const table = compileTable(
      {
        key: [],
        columns: [column('a', { rule: 'codes', when: 0, apply: permute }, { rule: 'rest', apply: hash })],
      },
      jobKeys(KEY),
    );
    const result = table.transform(
      chunk({ a: ['x1', 'no code', '???', 'ABC123456'] }, [Uint8Array.of(0, 0, 1, 1)]),
    );
    expect(result.failed).toEqual([
      { row: 2, column: 'a', rule: 'codes', reason: 'it holds no letter A to Z and no digit to permute' },
    ]);
    expect(result.columns[0]![2]).toBeNull();
  });

  describe('counts outputs that equal their input, where they should not,', () => {
    const small = spec({ permute: { bits: 7, allowSmall: true } });
    const all = Array.from({ length: 127 }, (_, i) => String(i + 1));
    const NUMERIC: ColumnType = { kind: 'numeric', name: 'numeric', nullable: true, equality: 'number' };
    const tables = Array.from({ length: 20 }, (_, key) =>
      compileTable(
        { key: [], columns: [{ ...column('a', { rule: 'r', apply: small }), type: NUMERIC }] },
        jobKeys(new Uint8Array(32).fill(key)),
      ),
    );
    const transform = (table: (typeof tables)[number], a: Column) => table.transform(chunk({ a }));
    const fixed = (table: (typeof tables)[number]): number =>
      all.filter((value, row) => transform(table, all).columns[0]![row] === value).length;
    const table = tables.find((candidate) => fixed(candidate) > 0)!;

    it('but not 0, NULL and the empty text', () => {
      const result = transform(table, [...all, '0', null]);
      expect(result.equal).toEqual({ a: fixed(table) });
      expect(result.rules).toEqual({ r: 128 });
    });

    it('as the column compares them', () => {
      expect(
        transform(
          table,
          all.map((value) => `${value}.00`),
        ).equal,
      ).toEqual({ a: fixed(table) });
    });
  });

  it('gives the members of a domain equal values, however their types write them', () => {
    const INT8: ColumnType = { kind: 'int8', name: 'bigint', nullable: true, equality: 'exact' };
    const NUMERIC: ColumnType = { kind: 'numeric', name: 'numeric', nullable: true, equality: 'number' };
    const member = (type: ColumnType) => ({
      name: 'id',
      type,
      domain: 'shop.id',
      branches: [{ rule: 'r', apply: spec('permute') }],
    });
    const out = (type: ColumnType, value: string) =>
      compileTable({ key: [], columns: [member(type)] }, jobKeys(KEY), [
        { name: 'shop.id', type: INT8 },
      ]).transform(chunk({ id: [value] })).columns[0]![0];
    expect(out(NUMERIC, '4711.00')).toBe(out(INT8, '4711'));
  });
});
