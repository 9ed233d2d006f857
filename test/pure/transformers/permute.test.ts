import { FF1 } from '@noble/ciphers/ff1.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { getTransformer } from '../../../anonymize/registry.js';
import type { ColumnType } from '../../../anonymize/transformer.js';
import { one, prf, proof, run, spec, TEXT, type } from './support.js';

const accepts = (raw: unknown, given: ColumnType): true | string => {
  const { name, options } = spec(raw);
  return getTransformer(name).accepts(given, options);
};

describe('integers', () => {
  const KINDS = [
    [type('int4'), 'permute', 30],
    [type('int8'), 'permute', 62],
    [type('numeric', { name: 'numeric(9,0)', precision: 9, scale: 0 }), 'permute', 29],
    [type('int2'), { permute: { allowSmall: true } }, 14],
    [type('int8'), { permute: 63 }, 63],
    [type('int4'), { permute: { bits: 31 } }, 31],
    [type('int8'), { permute: 33 }, 33],
  ] as const;

  test.each(KINDS)('of $name by %j: FF1 of noble, within [1, 2^%i), walking around 0', (given, raw, bits) => {
    const end = 2n ** BigInt(bits);
    const subKey = prf('test key').subKey(`permute/${bits}`);
    const oracle = FF1(2, subKey);
    const step = (value: bigint): bigint =>
      BigInt(`0b${oracle.encrypt([...value.toString(2).padStart(bits, '0')].map(Number)).join('')}`);
    const value = fc.oneof(
      fc.bigInt({ min: 1n, max: end - 1n }),
      fc.bigInt({ min: 1n, max: 1000n }),
      fc.bigInt({ min: end - 1000n, max: end - 1n }),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 10 }), (values) => {
        const expected = values.map((number) => step(number) || step(0n)).map(String);
        expect(run(raw, values.map(String), { type: given }).out).toEqual(expected);
        const minus = run(
          raw,
          values.map((number) => `-${number}`),
          { type: given },
        ).out;
        expect(minus).toEqual(expected.map((text) => `-${text}`));
      }),
      { numRuns: 40 },
    );
    expect(proof(raw, given)).toMatchObject({ unique: 'injective', maxInteger: String(end - 1n) });
    expect(one(raw, '0', { type: given })).toBe('0');
    expect(run(raw, [String(end), String(-end), '99999999999999999999'], { type: given }).failed.size).toBe(
      3,
    );
  });

  test('are a permutation of the whole range', () => {
    const all = Array.from({ length: 2 ** 14 - 1 }, (_, i) => String(i + 1));
    const { out } = run({ permute: { allowSmall: true } }, all, { type: type('int2') });
    expect([...out].sort((a, b) => Number(a) - Number(b))).toEqual(all);
  });

  test('walk around the 0 that some number becomes', () => {
    const given = type('int4');
    const all = Array.from({ length: 127 }, (_, i) => String(i + 1));
    for (let key = 0; key < 20; key++) {
      const { out } = run({ permute: { bits: 7, allowSmall: true } }, all, {
        type: given,
        key: `key ${key}`,
      });
      expect([...out].sort((a, b) => Number(a) - Number(b))).toEqual(all);
    }
  });

  test('are refused above the range with the way out, and when they are none', () => {
    const { failed } = run('permute', ['1073741824', '-2147483648'], { type: type('int4') });
    expect([...failed.keys()]).toEqual([0, 1]);
    expect(failed.get(0)).toContain('permute: { bits: 31 }');
    const decimal = type('numeric', { name: 'numeric' });
    expect([...run('permute', ['1.5', 'NaN', 'Infinity', '3.00'], { type: decimal }).failed.keys()]).toEqual([
      0, 1, 2,
    ]);
  });

  test('need consent where there are few, and room for at least seven bits', () => {
    expect(accepts('permute', type('int2'))).toContain('allowSmall');
    expect(accepts({ permute: { allowSmall: true } }, type('int2'))).toBe(true);
    expect(accepts({ permute: 16 }, type('int2'))).toContain('at most 15');
    expect(accepts({ permute: 32 }, type('int4'))).toContain('at most 31');
    expect(accepts('permute', type('numeric', { precision: 2, scale: 0 }))).not.toBe(true);
    expect(accepts('permute', type('numeric', { precision: 12, scale: 2 }))).not.toBe(true);
    expect(accepts('permute', type('date'))).not.toBe(true);
  });
});

describe('texts', () => {
  const shape = (text: string): string =>
    text.replace(/[0-9]/g, '0').replace(/[A-Z]/g, 'A').replace(/[a-z]/g, 'a');

  test('of digits only are FF1 of noble in radix 10 and keep their length', () => {
    const oracle = FF1(10, prf('test key').subKey('permute/code'));
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[0-9]{6,40}$/), { minLength: 1, maxLength: 5 }), (values) => {
        const expected = values.map((value) => oracle.encrypt([...value].map(Number)).join(''));
        expect(run('permute', values).out).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test('keep class and place of every character', () => {
    const value = fc.oneof(
      fc.stringMatching(/^[A-Z]{2}-[0-9]{4}-[a-z]{3}$/),
      fc.stringMatching(/^[A-Za-z0-9 ./#-]{1,80}$/),
      fc.constant('a'.repeat(256)),
    );
    fc.assert(
      fc.property(fc.array(value, { maxLength: 10 }), (values) => {
        const { out, failed } = run({ permute: { allowSmall: true } }, values);
        out.forEach((made, row) => {
          if (!failed.has(row)) expect(shape(made!)).toBe(shape(values[row]!));
          else expect(values[row]).toMatch(/^[ ./#-]+$/);
        });
        const different = new Set(values.filter((_, row) => !failed.has(row)));
        expect(new Set(out.filter((made) => made !== null)).size).toBe(different.size);
      }),
      { numRuns: 50 },
    );
  });

  test.each(['7', 'q', '42', 'a1'])('like %s are a permutation of all of their form', (like) => {
    const all = [...Array(1000).keys()]
      .map((i) => i.toString(36))
      .filter((text) => shape(text) === shape(like));
    const { out } = run({ permute: { allowSmall: true } }, all);
    const [inputs, outputs] = [new Set(all), new Set(out)];
    expect(outputs.size).toBe(inputs.size);
    if (like.length === 1) expect(outputs).toEqual(inputs);
    expect([...run('permute', all).failed.keys()]).toHaveLength(all.length);
  });

  test('that hold nothing to permute, too much, or unknown letters are refused', () => {
    const { out, failed } = run('permute', [
      '',
      '---',
      'a'.repeat(257),
      'Müller-123456',
      '١٢٣٤٥٦',
      '東京123456',
      '№ — 123456',
    ]);
    expect([...failed.keys()]).toEqual([1, 2, 3, 4, 5]);
    expect(out[0]).toBe('');
    expect(out[6]).toMatch(/^№ — \d{6}$/);
  });

  test('of a caseless type give equal codes equal codes', () => {
    const given = type('text', { equality: 'caseless' });
    expect(one('permute', 'AB-1234-XY', { type: given })).toBe(one('permute', 'ab-1234-xy', { type: given }));
  });
});

describe('UUIDs', () => {
  const bare = (uuid: string): string => uuid.replaceAll('-', '');
  /** The 122 bits that are permuted, in their order. */
  const core = (uuid: string): string =>
    [...bare(uuid)].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0')).join('');

  test('keep version and variant; the rest is FF1 of noble', () => {
    const order = (bits: string): string =>
      `${bits.slice(32, 48)}${bits.slice(52, 64)}${bits[66]}${bits.slice(0, 32)}${bits.slice(67)}`;
    const oracle = FF1(2, prf('test key').subKey('permute/uuid'));
    fc.assert(
      fc.property(fc.array(fc.uuid(), { minLength: 1, maxLength: 5 }), (values) => {
        const { out } = run('permute', values, { type: type('uuid') });
        out.forEach((made, row) => {
          expect(made![14]).toBe(values[row]![14]);
          expect(core(made!).slice(64, 66)).toBe(core(values[row]!).slice(64, 66));
          const expected = oracle.encrypt([...order(core(values[row]!))].map(Number)).join('');
          expect(order(core(made!))).toBe(expected);
        });
      }),
      { numRuns: 50 },
    );
  });

  test('of every version and variant stay apart', () => {
    const values = [...'0123456789abcdef'].flatMap((version) =>
      [...'0123456789abcdef'].map((variant) => `00000000-0000-${version}000-${variant}000-000000000000`),
    );
    expect(new Set(run('permute', values, { type: type('uuid') }).out).size).toBe(values.length);
  });

  test('stand in text columns, too, in lower case', () => {
    const value = '1f0e7b7c-9f64-4d0a-8a55-0c1a4f2c9e11';
    expect(one({ permute: { as: 'uuid' } }, value)).toBe(one('permute', value, { type: type('uuid') }));
    expect([
      ...run({ permute: { as: 'uuid' } }, [value.toUpperCase(), 'x'], { type: TEXT }).failed.keys(),
    ]).toEqual([0, 1]);
  });
});

describe('ObjectIds', () => {
  test('FF1 of noble over all 96 bits: different ones stay different, and nothing tells the time', () => {
    const given = type('objectId');
    const oracle = FF1(2, prf('test key').subKey('permute/objectId'));
    const bitsOf = (id: string) => [...BigInt(`0x${id}`).toString(2).padStart(96, '0')].map(Number);
    const id = fc
      .uint8Array({ minLength: 12, maxLength: 12 })
      .map((bytes) => Buffer.from(bytes).toString('hex'));
    fc.assert(
      fc.property(fc.array(id, { minLength: 1, maxLength: 5 }), (ids) => {
        const expected = ids.map((one) =>
          BigInt(`0b${oracle.encrypt(bitsOf(one)).join('')}`)
            .toString(16)
            .padStart(24, '0'),
        );
        expect(run('permute', ids, { type: given }).out).toEqual(expected);
      }),
      { numRuns: 20, seed: 3 },
    );
    const neighbours = Array.from(
      { length: 1_000 },
      (_, at) => `65a1b2c3d4e5f607182${at.toString(16).padStart(5, '0')}`,
    );
    const { out } = run('permute', neighbours, { type: given });
    expect(new Set(out).size).toBe(1_000);
    expect(new Set(out.map((made) => made!.slice(0, 4))).size).toBeGreaterThan(900);
    expect(run('permute', ['65A1B2C3D4E5F60718200000', null, 'x'], { type: given }).failed.size).toBe(2);
  });
});
