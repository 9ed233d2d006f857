import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { accepts, HOSTILE, one, proof, run, spec, TEXT, type } from './support.js';

describe('keep', () => {
  test('copies everything', () => {
    expect(run('keep', HOSTILE).out).toEqual(HOSTILE);
    expect(accepts('keep', type('other'))).toBe(true);
    expect(proof('keep')).toEqual({ unique: 'injective', mayEqualInput: true, keepsNull: true, total: true });
  });
});

describe('null', () => {
  test('empties everything', () => {
    expect(run(null, HOSTILE).out).toEqual(HOSTILE.map(() => null));
    expect(proof('null')).toMatchObject({ keepsNull: false, mayEqualInput: false });
  });

  test('is refused on a NOT NULL column', () => {
    expect(accepts('null', type('int4', { nullable: false }))).toMatch(/NOT NULL/);
    expect(accepts('null', type('array'))).toBe(true);
  });
});

describe('constant', () => {
  test('puts the value, and keeps NULL', () => {
    expect(run({ constant: 'gone' }, ['a', null, '']).out).toEqual(['gone', null, 'gone']);
    expect(one({ constant: 0 }, '17', { type: type('int4') })).toBe('0');
    expect(one({ constant: false }, 't', { type: type('bool') })).toBe('false');
    expect(spec({ constant: 1.5 })).toEqual(spec(spec({ constant: 1.5 })));
  });

  test.each([
    ['x', type('text', { maxLength: 1 }), true],
    ['👍', type('text', { maxLength: 1 }), true],
    ['xy', type('text', { maxLength: 1 }), /longer than 1 character/],
    ['a\0b', TEXT, /zero character/],
    ['32767', type('int2'), true],
    ['32768', type('int2'), /range/],
    ['-9223372036854775808', type('int8'), true],
    ['9223372036854775808', type('int8'), /range/],
    ['1.0', type('int4'), /no integer/],
    ['99.9', type('numeric', { name: 'numeric(3,1)', precision: 3, scale: 1 }), true],
    ['100', type('numeric', { name: 'numeric(3,1)', precision: 3, scale: 1 }), /range/],
    ['9.99', type('numeric', { name: 'numeric(3,1)', precision: 3, scale: 1 }), /more than 1 digits/],
    ['NaN', type('numeric'), /finite/],
    ['1e400', type('float', { name: 'double precision' }), /range/],
    ['yes', type('bool'), /no bool/],
    ['2024-02-30', type('date'), /no date/],
    ['2024-02-29', type('date'), true],
    ['2024-02-29 25:00:00', type('date'), /no date/],
    ['infinity', type('timestamp'), /no timestamp/],
    ['2024-02-29 12:00:00+00', type('timestamptz'), true],
    ['24:00:00', type('time'), /no time/],
    ['1 year 2 mons -3 days 04:05:06', type('interval'), true],
    ['later', type('interval'), /no interval/],
    ['{"a":1}', type('json'), true],
    ['{a:1}', type('json'), /not JSON/],
    ['10.1.2.3/8', type('inet'), true],
    ['10.1.2.3/8', type('inet', { name: 'cidr' }), /mask/],
    ['10.0.0.0/8', type('inet', { name: 'cidr' }), true],
    ['1.2.3', type('inet'), /no IP address/],
    ['new', type('enum', { enumValues: ['old', 'new'] }), true],
    ['newer', type('enum', { enumValues: ['old', 'new'] }), /no value of/],
    ['3f2504e0-4f89-11d3-9a0c-0305e82c3301', type('uuid'), true],
    ['3f2504e0', type('uuid'), /no uuid/],
    ['\\x00ff', type('bytea'), true],
    ['00ff', type('bytea'), /no bytea/],
    ['{}', type('array'), true],
    ['{1}', type('array'), /no array but/],
    ['x', type('other'), /kept or emptied/],
  ])('%j on %o', (value, given, expected) => {
    const answer = accepts({ constant: value }, given);
    if (expected instanceof RegExp) expect(answer).toMatch(expected);
    else expect(answer).toBe(true);
  });
});

describe('mask', () => {
  test('hides all, or all but the ends', () => {
    expect(one('mask', 'Ann Lee')).toBe('*******');
    expect(one({ mask: 4 }, '4111111111111111')).toBe('************1111');
    expect(one({ mask: { keepFirst: 2, keepLast: 1, with: '#' } }, 'München')).toBe('Mü####n');
    expect(one({ mask: { with: 'class' } }, 'Ünal, 12b Straße ٣👍')).toBe('Xxxx, 00x Xxxxxx 0👍');
  });

  test('hides a value whole that it would else show whole', () => {
    expect(one({ mask: 4 }, '1234')).toBe('****');
    expect(one({ mask: { keepFirst: 2, keepLast: 2 } }, 'abc')).toBe('***');
    expect(one({ mask: 4 }, '12345')).toBe('*2345');
  });

  test('counts characters as people and PostgreSQL do, and not the blanks of char(n)', () => {
    expect(one({ mask: 1 }, '👍🏽👎𝒜')).toBe('***𝒜');
    const padded = type('text', { name: 'character(8)', maxLength: 8, equality: 'padded' });
    expect(one({ mask: 2 }, 'abcd    ', { type: padded })).toBe('**cd');
  });

  test('refuses other types and odd marks', () => {
    expect(accepts('mask', type('int4'))).toMatch(/it takes text/);
    expect(() => spec({ mask: { with: '**' } })).toThrow(/one character/);
    expect(() => spec({ mask: -1 })).toThrow(/keepLast/);
  });

  test('shows nothing but the ends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(5), fc.nat(5), (value, keepFirst, keepLast) => {
        const hidden = one({ mask: { keepFirst, keepLast } }, value)!;
        const all = Array.from(value);
        const shown = all.length > keepFirst + keepLast;
        const middle = all.length - (shown ? keepFirst + keepLast : 0);
        const start = shown ? all.slice(0, keepFirst).join('') : '';
        const end = shown ? all.slice(all.length - keepLast).join('') : '';
        expect(hidden).toBe(start + '*'.repeat(middle) + end);
      }),
    );
  });
});
