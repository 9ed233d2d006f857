import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { accepts, one, proof, run, spec, TEXT, type } from './support.js';

const replace = (...list: unknown[]) => ({ regexReplace: list });

describe('regexReplace', () => {
  test('puts a constant, literally', () => {
    expect(one(replace({ pattern: '\\d+', with: '$& $1 \\1' }), 'a 1 b 22')).toBe('a $& $1 \\1 b $& $1 \\1');
    expect(one(replace({ pattern: 'ann', flags: 'i', with: 'X' }), 'Ann and ANN')).toBe('X and X');
  });

  test('applies a transformer to the match or a group of it', () => {
    expect(one(replace({ pattern: '[A-Z]\\w+', apply: 'scramble' }), 'call Ann or Ömer 2')).toMatch(
      /^call [A-Z][a-z]{2} or Ömer 2$/,
    );
    const phone = replace({ pattern: 'tel: (\\S+)', group: 1, apply: { mask: 2 } });
    expect(one(phone, 'tel: 12345, tel: 678')).toBe('tel: ****45 tel: *78'.replace('****45', '****5,'));
  });

  test('equal matches become equal, in every row and pattern place', () => {
    const { out } = run(replace({ pattern: '[a-z]+@[a-z.]+', apply: 'scramble' }), [
      'ann@a.io, bob@b.io',
      'cc ann@a.io',
    ]);
    expect(out[1]!.slice(3)).toBe(out[0]!.split(', ')[0]);
  });

  test('the first pattern in the list wins, and none sees what another one put', () => {
    const both = replace({ pattern: '\\d{4}', with: 'year' }, { pattern: '\\d+|year', with: 'number' });
    expect(one(both, '2024 and 17 and 123456 year')).toBe('year and number and year56 number');
  });

  test('a value without a match follows unmatched', () => {
    const list = [{ pattern: '\\d', with: '#' }];
    expect(run(replace(...list), ['none', null, '', 'a1'])).toEqual({
      out: [null, null, null, 'a#'],
      failed: new Map([
        [0, 'no pattern matches'],
        [2, 'no pattern matches'],
      ]),
    });
    expect(one({ regexReplace: { replace: list, unmatched: 'keep' } }, 'none')).toBe('none');
    expect(one({ regexReplace: { replace: list, unmatched: 'null' } }, 'none')).toBeNull();
    expect(one({ regexReplace: { replace: list, unmatched: 'scramble' } }, 'none')).toMatch(
      /^(?!none)[a-z]{4}$/,
    );
    expect(
      accepts({ regexReplace: { replace: list, unmatched: 'null' } }, type('text', { nullable: false })),
    ).toMatch(/NULL/);
  });

  test('a search without end fails its value, and only that', () => {
    const evil = `${'a'.repeat(50)}!`;
    const slow = { regexReplace: { replace: [{ pattern: '^(a+)+$', with: 'x' }], timeoutMs: 30 } };
    const { out, failed } = run(slow, ['aaa', evil, 'aa', evil, 'a']);
    expect(out).toEqual(['x', null, 'x', null, 'x']);
    expect([...failed.values()]).toEqual(
      Array(2).fill('the search took more than 30 ms, or too much memory'),
    );
  });

  test("a search that fills the engine's stack fails its value, and only that", () => {
    const replace = [{ pattern: '^(?:[a-z]+\\.)+$', with: 'x' }];
    const deep = { regexReplace: { replace, maxLength: 10_000_000, timeoutMs: 10_000 } };
    const { out, failed } = run(deep, ['a.b.', 'a.'.repeat(5_000_000), 'c.']);
    expect(out).toEqual(['x', null, 'x']);
    expect([...failed.keys()]).toEqual([1]);
  });

  test('a value beyond maxLength fails', () => {
    const short = { regexReplace: { replace: [{ pattern: 'a', with: 'b' }], maxLength: 5 } };
    expect(run(short, ['aaaaa', 'aaaaaa'])).toEqual({
      out: ['bbbbb', null],
      failed: new Map([[1, 'longer than 5']]),
    });
  });

  test('a result that does not fit fails', () => {
    const grow = replace({ pattern: 'a', with: 'long' });
    expect(run(grow, ['a', 'ab'], { type: type('text', { maxLength: 4 }) }).failed.get(1)).toMatch(
      /longer than 4 characters/,
    );
  });

  test('what a nested transformer refuses fails the row, naming the pattern', () => {
    const cards = replace({ pattern: 'card \\S+', with: 'x' }, { pattern: '\\d+', apply: 'creditCard' });
    expect(run(cards, ['card 1', 'no 4711', 'no 4111111111111111']).failed).toEqual(
      new Map([[1, 'pattern 2: not a card number of 12 to 19 digits']]),
    );
    expect(one(replace({ pattern: '\\d', apply: 'null' }), 'a1b2')).toBe('ab');
  });

  test('counts in characters of any plane, over lines', () => {
    expect(one(replace({ pattern: '.', flags: 's', with: '#' }), '👍\n𝒜\t\\N')).toBe('######');
    expect(one(replace({ pattern: '^.', flags: 'm', with: '#' }), 'a\nb')).toBe('#\n#');
  });

  test('mistakes are told when the file is read', () => {
    expect(() => spec(replace({ pattern: '(', with: '' }))).toThrow(/Unterminated group/);
    expect(() => spec(replace({ pattern: 'a', with: '', apply: 'mask' }))).toThrow(/either with or apply/);
    expect(() => spec(replace({ pattern: 'a' }))).toThrow(/either with or apply/);
    expect(() => spec(replace({ pattern: '(a)', group: 2, with: '' }))).toThrow(/1 groups/);
    expect(() => spec(replace({ pattern: 'a', apply: 'maks' }))).toThrow(/mask/);
    expect(() => spec(replace({ pattern: 'a', flags: 'g', with: '' }))).toThrow(/only i, m and s/);
    expect(accepts(replace({ pattern: 'a', apply: 'noise' }), TEXT)).toMatch(/noise cannot take a text/);
    expect(spec(spec(replace({ pattern: 'a', apply: { mask: 4 } })))).toEqual(
      spec(replace({ pattern: 'a', apply: { mask: 4 } })),
    );
  });

  test('nested needs and proofs count', () => {
    const shifted = replace({ pattern: '\\d{4}-\\d\\d-\\d\\d', apply: { dateShift: { by: 'customer_id' } } });
    expect(proof(shifted).total).toBe(false);
    expect(proof(replace({ pattern: 'a', with: 'b' })).total).toBe(true);
    const sources = { customer_id: ['7', '7'] };
    const { out } = run(shifted, ['from 2024-01-01', 'to 2024-01-11'], { sources });
    const day = (text: string | null) => Date.parse(text!.split(' ')[1]!);
    expect(day(out[1]!) - day(out[0]!)).toBe(10 * 86_400_000);
  });

  test('agrees with String.replace', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', '1', ' ', '👍') }), (value) => {
        const out = one(
          { regexReplace: { replace: [{ pattern: 'a+b?', with: 'X' }], unmatched: 'keep' } },
          value,
        );
        expect(out).toBe(value.replace(/a+b?/gu, 'X'));
      }),
    );
  });
});
