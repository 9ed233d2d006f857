import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalDecimal, formatDecimal, parseDecimal } from '../../../anonymize/decimal.js';
import { accepts, one, proof, run, spec, TEXT, type } from './support.js';

const MONEY = type('numeric', { name: 'numeric(8,2)', precision: 8, scale: 2 });

describe('decimals', () => {
  test('are read and written without loss', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.nat(30), (digits, scale) => {
        expect(parseDecimal(formatDecimal(digits, scale))).toEqual({ digits, scale });
      }),
    );
    expect(parseDecimal('1.5e-7')).toEqual({ digits: 15n, scale: 8 });
    expect(parseDecimal('-2E+3')).toEqual({ digits: -2000n, scale: 0 });
    expect(parseDecimal('.5')).toEqual({ digits: 5n, scale: 1 });
    expect(canonicalDecimal({ digits: 1200n, scale: 3 })).toEqual({ digits: 12n, scale: 1 });
  });

  test.each(['', '.', '-', 'NaN', 'Infinity', '1,5', ' 1', '1e', '1e999999', '0x10', '１', '1_000'])(
    '%j is none',
    (text) => {
      expect(parseDecimal(text)).toBeUndefined();
    },
  );
});

describe('noise', () => {
  test('stays within its reach, with scale and sign', () => {
    fc.assert(
      fc.property(fc.integer({ min: -99_999_999, max: 99_999_999 }), (cents) => {
        const value = formatDecimal(BigInt(cents), 2);
        const out = one({ noise: { relative: 0.1 } }, value, { type: MONEY })!;
        expect(out).toMatch(/^-?\d+\.\d\d$/);
        const moved = Number(out.replace('.', ''));
        expect(Math.abs(moved - cents)).toBeLessThanOrEqual(Math.ceil(Math.abs(cents) * 0.1));
        if (moved !== 0) expect(Math.sign(moved)).toBe(Math.sign(cents));
      }),
    );
  });

  test('covers its reach evenly', () => {
    const values = Array.from({ length: 3000 }, (_, i) => String(100_000 + i));
    const changes = run({ noise: { absolute: 50 } }, values, { type: type('int4') }).out.map(
      (out, i) => Number(out) - Number(values[i]),
    );
    expect(Math.min(...changes)).toBeLessThanOrEqual(-49);
    expect(Math.max(...changes)).toBeGreaterThanOrEqual(49);
    expect(Math.abs(changes.reduce((sum, change) => sum + change, 0) / 3000)).toBeLessThan(3);
  });

  test('stays in the range of the type at its very ends', () => {
    const cases = [
      ['32767', type('int2')],
      ['-32768', type('int2')],
      ['9223372036854775807', type('int8')],
      ['-9223372036854775808', type('int8')],
      ['999999.99', MONEY],
    ] as const;
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      for (const [value, given] of cases) {
        const out = one({ noise: 10 }, value, { type: given, key })!;
        expect(accepts({ constant: out }, given)).toBe(true);
      }
    }
  });

  test('numbers that are equal stay equal', () => {
    for (const key of ['a', 'b', 'c']) {
      const [a, b, c] = run('noise', ['1234.5', '1234.50', '1234.500000'], {
        type: type('numeric'),
        key,
      }).out;
      expect(b).toBe(`${a}0`);
      expect(c).toBe(`${a}00000`);
    }
  });

  test('floats of any size', () => {
    const float = type('float', { name: 'double precision' });
    for (const value of ['1e+300', '-1.5e-07', '0.1', '1.7976931348623157e+308', '5e-324']) {
      const out = Number(one('noise', value, { type: float }));
      expect(Number.isFinite(out)).toBe(true);
      expect(Math.abs(out - Number(value))).toBeLessThanOrEqual(Math.abs(Number(value)) * 0.1 + 1e-323);
    }
  });

  test('what is no finite number follows onInvalid', () => {
    const float = type('float');
    expect(run('noise', ['NaN', 'Infinity', '7'], { type: float }).failed).toEqual(
      new Map([
        [0, 'not a finite number'],
        [1, 'not a finite number'],
      ]),
    );
    expect(run({ noise: { onInvalid: 'null' } }, ['NaN'], { type: float })).toMatchObject({
      out: [null],
      failed: new Map(),
    });
    expect(accepts({ noise: { onInvalid: 'null' } }, type('float', { nullable: false }))).toMatch(
      /may be NULL/,
    );
    expect(accepts({ noise: { onInvalid: 'scramble' } }, float)).toMatch(/text column/);
    expect(proof({ noise: { onInvalid: 'null' } }, float).keepsNull).toBe(false);
  });

  test('zero, options, types', () => {
    expect(one('noise', '0', { type: type('int4') })).toBe('0');
    expect(Number(one({ noise: { absolute: 5 } }, '0', { type: type('int4') }))).toBeGreaterThanOrEqual(0);
    expect(() => spec({ noise: { relative: 0.1, absolute: 1 } })).toThrow(/not both/);
    expect(() => spec({ noise: 0 })).toThrow(/relative/);
    expect(accepts('noise', TEXT)).toMatch(/numbers/);
  });
});

describe('range', () => {
  test('gives the lower end of the bucket', () => {
    const int = { type: type('int4') };
    expect(run({ range: 10 }, ['0', '9', '10', '37', '-1', '-10', '-11', null], int).out).toEqual([
      '0',
      '0',
      '10',
      '30',
      '-10',
      '-10',
      '-20',
      null,
    ]);
    expect(run({ range: { size: 10, start: 5 } }, ['4', '5', '14', '15'], int).out).toEqual([
      '-5',
      '5',
      '5',
      '15',
    ]);
    expect(run({ range: { size: '0.25' } }, ['0.24', '0.25', '-0.01', '3'], { type: MONEY }).out).toEqual([
      '0.00',
      '0.25',
      '-0.25',
      '3.00',
    ]);
    expect(run({ range: 100 }, ['1234.5678', '1e3'], { type: type('numeric') }).out).toEqual([
      '1200',
      '1000',
    ]);
  });

  test('gives a label in text', () => {
    expect(run({ range: 10 }, ['37', '37.9', '-3']).out).toEqual(['30-39', '30-39', '-10--1']);
    expect(one({ range: { size: 0.5 } }, '1.7')).toBe('1.5-2.0');
    expect(one({ range: { size: 1000, label: '{from} to {to} €' } }, '2500')).toBe('2000 to 2999 €');
    const short = { type: type('text', { maxLength: 5 }) };
    expect(run({ range: 10 }, ['37', '1234'], short)).toEqual({
      out: ['30-39', null],
      failed: new Map([[1, 'the label is longer than 5 characters']]),
    });
  });

  test('is exact beyond 2^53 and at the ends of a type', () => {
    expect(one({ range: 1000 }, '9223372036854775807', { type: type('int8') })).toBe('9223372036854775000');
    expect(one({ range: 1000 }, '-9223372036854775808', { type: type('int8') })).toBe('-9223372036854775808');
    expect(one({ range: 7 }, '-32768', { type: type('int2') })).toBe('-32768');
  });

  test('holds the value, and every value of a bucket gives the same', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: -100, max: 100 }),
        (value, size, start) => {
          const bucket = (v: number) =>
            Number(one({ range: { size, start } }, String(v), { type: type('int8') }));
          const from = bucket(value);
          expect(from).toBeLessThanOrEqual(value);
          expect(from + size).toBeGreaterThan(value);
          expect(bucket(from)).toBe(from);
          expect(bucket(from + size - 1)).toBe(from);
        },
      ),
    );
  });

  test('what is no number follows onInvalid', () => {
    expect(run({ range: 10 }, ['NaN', 'Infinity', 'ten', '']).failed.size).toBe(4);
    const scrambled = run({ range: { size: 10, onInvalid: 'scramble' } }, ['ten', '-']);
    expect(scrambled.out[0]).toMatch(/^[a-z]{3}$/);
    expect(scrambled.out[0]).not.toBe('ten');
    expect(scrambled.out[1]).toBeNull();
    expect(scrambled.failed.get(1)).toBe('not a finite number');
  });

  test('refuses what cannot be exact', () => {
    expect(accepts({ range: 0.5 }, type('int4'))).toMatch(/integers/);
    expect(accepts({ range: 0.125 }, MONEY)).toMatch(/more digits/);
    expect(accepts({ range: 10 }, type('date'))).toMatch(/numbers/);
    expect(() => spec({ range: 0 })).toThrow(/positive/);
    expect(() => spec('range')).toThrow(/size/);
  });
});
