import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalColumn, canonicalNumber } from '../../anonymize/canonical.js';
import { compileTable, type SourceChunk } from '../../anonymize/compile.js';
import { canonicalPrf, jobKeys, parseJobKey, partPrf } from '../../anonymize/keys.js';
import {
  getTransformer,
  parseSpec,
  specHash,
  specSchema,
  transformerNames,
  versions,
} from '../../anonymize/registry.js';
import type { Column, ColumnType } from '../../anonymize/transformer.js';
import { LetheError } from '../../errors/errors.js';

const KEY = new Uint8Array(32).fill(5);
const TEXT: ColumnType = { kind: 'text', name: 'text', nullable: true, equality: 'exact' };
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
    expect(() =>
      compileTable(
        { key: [], columns: [column('a', { rule: 'r', when: 0, apply: { name: 'hash', options: {} } })] },
        jobKeys(KEY),
      ),
    ).toThrow('no rule decides');
  });
});
