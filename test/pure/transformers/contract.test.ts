import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { misfit } from '../../../anonymize/fit.js';
import { formatAddress, parseAddress } from '../../../anonymize/ipaddress.js';
import type { ColumnType } from '../../../anonymize/transformer.js';
import { HOSTILE, proof, run, type } from './support.js';

/** Transformers with the columns that they are tried on, and what such a column may hold. */
const date = fc
  .tuple(
    fc.integer({ min: 1, max: 12_000 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
  )
  .map(
    ([y, m, d]) =>
      `${String(y).padStart(4, '0')}-${String(m).padStart(2, '0')}-${String(d).padStart(2, '0')}`,
  );
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(...HOSTILE.filter((v) => v !== null)),
);
const integer = (bits: number) =>
  fc.bigInt({ min: -(1n << BigInt(bits)), max: (1n << BigInt(bits)) - 1n }).map((value) => value.toString());
const numeric = fc.bigInt({ min: -(10n ** 10n) + 1n, max: 10n ** 10n - 1n }).map((digits) => {
  const size = (digits < 0n ? -digits : digits).toString().padStart(3, '0');
  return `${digits < 0n ? '-' : ''}${size.slice(0, -2)}.${size.slice(-2)}`;
});
const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => formatAddress(parseAddress(text)!));

const NUMERIC = type('numeric', { name: 'numeric(10,2)', precision: 10, scale: 2 });
const SHORT = type('text', { name: 'character varying(40)', maxLength: 40 });
const CASES: readonly [raw: unknown, type: ColumnType, values: fc.Arbitrary<string>][] = [
  ['keep', SHORT, text],
  [{ constant: 'x' }, SHORT, text],
  [{ constant: 7 }, type('int2'), integer(15)],
  ['mask', SHORT, text],
  [{ mask: { keepFirst: 1, keepLast: 2, with: 'class' } }, SHORT, text],
  ['scramble', SHORT, text],
  ['phone', SHORT, text],
  ['creditCard', SHORT, text],
  ['iban', SHORT, text],
  ['url', SHORT, fc.oneof(text, fc.webUrl({ withQueryParameters: true }))],
  ['ip', SHORT, fc.oneof(text, address)],
  ['ip', type('inet'), address],
  [{ ip: { preservePrefix: true } }, type('inet'), address],
  ['noise', type('int2'), integer(15)],
  ['noise', type('int4'), integer(31)],
  [{ noise: { absolute: 1000 } }, type('int8'), integer(63)],
  [{ noise: 10 }, NUMERIC, numeric],
  ['noise', type('float', { name: 'double precision' }), fc.double().map(String)],
  [{ range: 100 }, type('int2'), integer(15)],
  [{ range: { size: 0.25, start: '0.1' } }, NUMERIC, numeric],
  [{ range: 10 }, SHORT, fc.oneof(text, integer(31))],
  ['dateShift', type('date'), fc.oneof(date, fc.constantFrom('infinity', '0044-03-15 BC', '5874897-12-31'))],
  ['dateShift', type('timestamp'), date.map((d) => `${d} 23:59:59.999999`)],
  ['dateShift', SHORT, fc.oneof(date, text)],
  [{ dateTruncate: 'week' }, type('date'), date],
  [{ dateTruncate: 'hour' }, type('timestamptz'), date.map((d) => `${d} 23:59:59.999999+00`)],
  [{ regexReplace: [{ pattern: '\\w+', apply: 'scramble' }] }, SHORT, text],
];

describe.each(
  CASES.map(
    ([raw, given, values]) => [`${JSON.stringify(raw)} on ${given.name}`, raw, given, values] as const,
  ),
)('%s', (_, raw, given, values) => {
  const column = fc.array(fc.option(values), { minLength: 1, maxLength: 20 });

  test('keeps NULL, fits the type, and is the same in every chunk', () => {
    fc.assert(
      fc.property(column, (input) => {
        const sources = { key: input.map(String) };
        const whole = run(raw, input, { type: given, sources });
        for (const [row, value] of input.entries()) {
          const out = whole.out[row]!;
          if (value === null) expect(out).toBeNull();
          else expect(out === null).toBe(whole.failed.has(row));
          if (out !== null && out !== value) expect(misfit(given, out)).toBeUndefined();
          if (out !== null && !proof(raw, given).mayEqualInput) expect(out).not.toBe(value);
          const alone = run(raw, [value], { type: given, sources: { key: [String(value)] } });
          expect(alone.out[0]).toBe(out);
          expect([...alone.failed.values()][0]).toBe(whole.failed.get(row));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('never tells the value in a reason', () => {
    fc.assert(
      fc.property(values, (value) => {
        for (const reason of run(raw, [`${value}§secret§`], { type: given }).failed.values()) {
          expect(reason).not.toContain('secret');
        }
      }),
      { numRuns: 20 },
    );
  });

  if (proof(raw, given).unique === 'injective') {
    test('is injective', () => {
      const input = [...new Set(fc.sample(values, 500))];
      expect(new Set(run(raw, input, { type: given }).out).size).toBe(input.length);
    });
  }
});
