import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileTable } from '../../../anonymize/compile.js';
import { civil, dayOf, formatDate, parseDate } from '../../../anonymize/dates.js';
import { jobKeys } from '../../../anonymize/keys.js';
import { accepts, one, proof, run, spec, TEXT, type } from './support.js';

const DATE = type('date');
const day = (text: string) => parseDate(text)!.day;

describe('dates', () => {
  test('day numbers agree with JavaScript where it has them', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (date) => {
          const text = date.toISOString().slice(0, 10);
          expect(parseDate(text)).toEqual({ day: Math.floor(date.getTime() / 86_400_000), rest: '' });
          expect(formatDate({ day: day(text), rest: '' })).toBe(text);
        },
      ),
    );
  });

  test('every day of PostgreSQL has a number and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: dayOf(-4713, 11, 24), max: dayOf(5_874_897, 12, 31) }), (number) => {
        const { year, month, day: dayOfMonth } = civil(number);
        expect(dayOf(year, month, dayOfMonth)).toBe(number);
        expect(day(formatDate({ day: number, rest: '' }))).toBe(number);
      }),
    );
    expect(day('4714-11-24 BC')).toBe(-2_440_588);
    expect(day('0001-01-01') - day('0001-12-31 BC')).toBe(1);
    expect(day('5874897-12-31')).toBe(2_145_042_905);
  });

  test.each([
    'infinity',
    '-infinity',
    '2023-02-29',
    '2024-13-01',
    '2024-00-10',
    '2024-01-00',
    '0000-01-01',
    '24-01-01',
    '2024-1-1',
    ' 2024-01-01',
    '2024-01-01x',
    '2024-01-01 12',
    '01/02/2024',
    '',
  ])('%j is none', (text) => {
    expect(parseDate(text)).toBeUndefined();
  });
});

describe('dateShift', () => {
  test('moves by 1 to so many days, and keeps the time of day', () => {
    const values = Array.from({ length: 1000 }, () => '2024-02-29 23:59:59.999999');
    const shifts = run({ dateShift: 10 }, values, { type: type('timestamp') }).out.map((out) => {
      expect(out).toMatch(/ 23:59:59\.999999$/);
      return day(out!) - day('2024-02-29');
    });
    expect(new Set(shifts)).toEqual(
      new Set([-10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    );
  });

  test('rows of one `by` move together, across columns and types', () => {
    const sources = { customer_id: ['7', '7', '8', null] };
    const by = { dateShift: { days: 1000, by: 'customer_id' } };
    const dates = run(by, ['2020-01-01', '2021-06-15', '2020-01-01', '2020-01-01'], {
      type: DATE,
      sources,
    }).out;
    expect(day(dates[1]!) - day(dates[0]!)).toBe(day('2021-06-15') - day('2020-01-01'));
    expect(dates[2]).not.toBe(dates[0]);
    const stamps = run(by, ['2020-01-01 08:00:00+00'], { type: type('timestamptz'), sources }).out;
    expect(stamps[0]).toBe(`${dates[0]} 08:00:00+00`);
    expect(spec(by).options).toMatchObject({ by: 'customer_id' });
  });

  test('reads years beyond 9999 and BC, and stays in the range of the type', () => {
    const ends = ['4714-11-24 BC', '5874897-12-31', '0001-01-01', '0001-12-31 BC', '9999-12-31'];
    for (const key of ['a', 'b', 'c', 'd']) {
      for (const value of ends) {
        const out = one({ dateShift: 5 }, value, { type: DATE, key })!;
        expect(Math.abs(day(out) - day(value))).toBeLessThanOrEqual(5);
        expect(out).not.toBe(value);
        expect(accepts({ constant: out }, DATE)).toBe(true);
      }
      expect(one({ dateShift: 5 }, '294276-12-31 12:00:00', { type: type('timestamp'), key })).toMatch(
        /^294276-12-/,
      );
      expect(one({ dateShift: 5 }, '9999-12-31', { key })).toMatch(/^9999-12-/);
    }
    expect(one({ dateShift: 5 }, '0044-03-15 12:00:00 BC', { type: type('timestamp') })).toMatch(
      /^0044-03-\d\d 12:00:00 BC$/,
    );
  });

  test('takes ISO dates in text, whatever follows them', () => {
    expect(one('dateShift', '2024-02-29T12:30:00.5Z')).toMatch(/^2024-\d\d-\d\dT12:30:00\.5Z$/);
    expect(one('dateShift', '2024-02-29 12:30:00+05:30')).toMatch(/12:30:00\+05:30$/);
  });

  test('infinity and what is no date follow onInvalid', () => {
    const { out, failed } = run('dateShift', ['infinity', '-infinity', null, '2024-01-01'], { type: DATE });
    expect(out.slice(0, 3)).toEqual([null, null, null]);
    expect([...failed]).toEqual([
      [0, 'not a finite date'],
      [1, 'not a finite date'],
    ]);
    expect(run({ dateShift: { onInvalid: 'null' } }, ['infinity'], { type: DATE }).failed.size).toBe(0);
    expect(run({ dateShift: { onInvalid: 'scramble' } }, ['soon']).out[0]).toMatch(/^[a-z]{4}$/);
  });

  test('says what it needs and proves', () => {
    expect(proof('dateShift', DATE)).toEqual({
      unique: 'no',
      mayEqualInput: false,
      keepsNull: true,
      total: false,
    });
    expect(accepts('dateShift', type('time'))).toMatch(/dates/);
    expect(() => spec({ dateShift: 0 })).toThrow(/days/);
  });
});

describe('dateTruncate', () => {
  test.each([
    ['year', '2024-08-15', '2024-01-01'],
    ['quarter', '2024-08-15', '2024-07-01'],
    ['month', '2024-08-15', '2024-08-01'],
    ['week', '2024-08-15', '2024-08-12'],
    ['week', '2024-08-12', '2024-08-12'],
    ['week', '2024-08-11', '2024-08-05'],
    ['year', '0044-03-15 BC', '0044-01-01 BC'],
    ['year', '4714-12-01 BC', '4714-11-24 BC'],
    ['month', '5874897-12-31', '5874897-12-01'],
  ])('to the %s: %s is %s', (to, value, expected) => {
    expect(one({ dateTruncate: to }, value, { type: DATE })).toBe(expected);
  });

  test('clears the time in its own form', () => {
    const stamp = { type: type('timestamptz') };
    expect(one({ dateTruncate: 'day' }, '2024-08-15 13:14:15.678+00', stamp)).toBe(
      '2024-08-15 00:00:00.000+00',
    );
    expect(one({ dateTruncate: 'hour' }, '2024-08-15 13:14:15+00', stamp)).toBe('2024-08-15 13:00:00+00');
    expect(one({ dateTruncate: 'month' }, '0044-03-15 13:14:15 BC', { type: type('timestamp') })).toBe(
      '0044-03-01 00:00:00 BC',
    );
    expect(one({ dateTruncate: 'month' }, '2024-08-15T13:14:15Z')).toBe('2024-08-01T00:00:00Z');
    expect(one({ dateTruncate: 'month' }, '2024-08-15T13:14:15-05:30')).toBe('2024-08-01T00:00:00-05:30');
  });

  test('truncating twice is truncating once, and never later', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -800_000, max: 3_000_000 }),
        fc.constantFrom('year', 'quarter', 'month', 'week'),
        (number, to) => {
          const value = formatDate({ day: number, rest: '' });
          const out = one({ dateTruncate: to }, value, { type: DATE })!;
          expect(day(out)).toBeLessThanOrEqual(number);
          expect(one({ dateTruncate: to }, out, { type: DATE })).toBe(out);
        },
      ),
    );
  });

  test('infinity follows onInvalid; a date has no time to cut off', () => {
    expect(run('dateTruncate', ['infinity'], { type: DATE }).failed.get(0)).toBe('not a finite date');
    expect(accepts({ dateTruncate: 'day' }, DATE)).toMatch(/no time of day/);
    expect(accepts({ dateTruncate: 'day' }, TEXT)).toBe(true);
    expect(proof('dateTruncate', DATE).mayEqualInput).toBe(true);
  });
});

test('dateShift of one key is the same in all columns of a job, unlike other keyed functions', () => {
  const column = (name: string) => ({
    name,
    type: DATE,
    domain: `public.t.${name}`,
    branches: [{ rule: 'columns', apply: spec({ dateShift: { days: 1000, by: 'id' } }) }],
  });
  const table = compileTable(
    { columns: [column('born'), column('died')], key: ['id'] },
    jobKeys(new Uint8Array(32)),
  );
  const data: Record<string, string[]> = { id: ['1'], born: ['1900-01-01'], died: ['1990-06-15'] };
  const { columns } = table.transform({
    size: 1,
    column: (name) => data[name]!,
    condition: () => new Uint8Array(1),
  });
  expect(table.reads).toContain('id');
  expect(day(columns[1]![0]!) - day(columns[0]![0]!)).toBe(day('1990-06-15') - day('1900-01-01'));
});
