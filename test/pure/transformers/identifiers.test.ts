import fc from 'fast-check';
import { parsePhoneNumberFromString } from 'libphonenumber-js/min';
import { describe, expect, test } from 'vitest';
import { luhn } from '../../../anonymize/transformers/creditCard.js';
import { remainder } from '../../../anonymize/transformers/iban.js';
import { accepts, HOSTILE, one, proof, run, spec, type } from './support.js';

const form = (text: string) => text.replace(/\p{Nd}/gu, '#');

describe('phone', () => {
  test.each([
    ['+49 151 23456789', /^\+49 [2-9]\d\d \d{8}$/],
    ['+49 (0) 151 2345-6789', /^\+49 \(0\) [2-9]\d\d \d{4}-\d{4}$/],
    ['0049 30 901820', /^0049 [2-9]\d \d{6}$/],
    ['011 44 20 7946 0018', /^011 44 [2-9]\d \d{4} \d{4}$/],
    ['030/901820', /^0[2-9]\d\/\d{6}$/],
    ['(555) 123-4567', /^\([2-9]\d\d\) \d{3}-\d{4}$/],
    ['+1-212-555-0100 ext. 12', /^\+1-[2-9]\d\d-\d{3}-\d{4} ext\. \d\d$/],
    ['+1 212 555 0100 x99', /^\+1 [2-9]\d\d \d{3} \d{4} x\d\d$/],
    ['+423 232 3232', /^\+423 [2-9]\d\d \d{4}$/],
    ['tel: +33 1 42 68 53 00', /^tel: \+33 [2-9]( \d\d){4}$/],
    ['5551234', /^[2-9]\d{6}$/],
    ['٠٣٠ ٩٠١٨٢٠', /^٠[٢-٩][٠-٩] [٠-٩]{6}$/],
    ['1-800-FLOWERS', /^[2-9]-\d{3}-[A-Z]{7}$/],
    ['Ann 555 12 34', /^[A-Z][a-z]{2} [2-9]\d\d \d\d \d\d$/],
  ])('%s keeps its form', (value, expected) => {
    const out = one('phone', value)!;
    expect(out).toMatch(expected);
    expect(out).not.toBe(value);
    if (!/[a-zA-Z]{4}|Ann/.test(value)) expect(form(out)).toBe(form(value));
  });

  test('keeps the calling code of a country that is told', () => {
    expect(one({ phone: 'US' }, '1-800-356-9377')).toMatch(/^1-[2-9]\d\d-\d{3}-\d{4}$/);
    expect(one({ phone: 'US' }, '(212) 555-0100')).toMatch(/^\([2-9]/);
    expect(() => spec({ phone: 'XX' })).toThrow(/ISO 3166/);
  });

  test('international numbers stay possible numbers of their country', () => {
    const values = ['+4915123456789', '+12125550100', '+442079460018', '+33142685300', '+919876543210'];
    for (const [i, out] of run('phone', values).out.entries()) {
      const [before, after] = [parsePhoneNumberFromString(values[i]!)!, parsePhoneNumberFromString(out!)!];
      expect(after.countryCallingCode).toBe(before.countryCallingCode);
      expect(after.isPossible()).toBe(true);
    }
  });

  test('what is no number follows onInvalid', () => {
    const { failed } = run('phone', ['', 'n/a', '12', '000', '+49', null, '123']);
    expect([...failed.keys()]).toEqual([0, 1, 2, 3, 4]);
    expect(one({ phone: { onInvalid: 'scramble' } }, 'n/a')).toMatch(/^[a-z]\/[a-z]$/);
    expect(accepts('phone', type('int8'))).toMatch(/permute/);
  });

  test('is never what it was', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\+?[0-9 ()-]{3,20}$/), (value) => {
        const { out, failed } = run('phone', [value]);
        if (!failed.has(0)) {
          expect(out[0]).not.toBe(value);
          expect(form(out[0]!)).toBe(form(value));
        }
      }),
    );
    expect(proof('phone').mayEqualInput).toBe(false);
  });
});

describe('creditCard', () => {
  const valid = (card: string) => {
    const digits = Array.from(card.replace(/\D/g, ''), Number);
    return luhn(digits.slice(0, -1)) === digits.at(-1);
  };

  test('the check digit is that of ISO/IEC 7812', () => {
    for (const card of ['4111111111111111', '378282246310005', '5555555555554444', '6011111111111117'])
      expect(valid(card)).toBe(true);
    expect(valid('4111111111111112')).toBe(false);
  });

  test.each([
    '4111 1111 1111 1111',
    '3782-822463-10005',
    '5555.5555.5555.4444',
    '6304000000000000',
    '4000000000000000006',
  ])('%s keeps its form and is valid', (value) => {
    const out = one('creditCard', value)!;
    expect(form(out)).toBe(form(value));
    expect(valid(out)).toBe(true);
    expect(out[0]).toBe(value[0]);
    expect(out).not.toBe(value);
    const bin = one({ creditCard: { keepBin: true } }, value)!;
    expect(bin.replace(/\D/g, '').slice(0, 6)).toBe(value.replace(/\D/g, '').slice(0, 6));
    expect(valid(bin)).toBe(true);
    expect(bin).not.toBe(value);
  });

  test('is valid and new for every number and key', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9]{12,19}$/), fc.string(), fc.boolean(), (value, key, keepBin) => {
        const out = one({ creditCard: { keepBin } }, value, { key })!;
        expect(valid(out)).toBe(true);
        expect(out).toHaveLength(value.length);
        expect(out).not.toBe(value);
      }),
    );
  });

  test('what is no card number follows onInvalid', () => {
    expect(run('creditCard', HOSTILE).failed.size).toBe(HOSTILE.length - 1);
    expect(
      run('creditCard', ['4111', '4111  1111 1111 1111', '41111111111111111111', 'XXXX XXXX XXXX 1111'])
        .failed.size,
    ).toBe(4);
  });

  test('the blanks of char(n) are none of its business', () => {
    const padded = {
      type: type('text', { name: 'character(20)', maxLength: 20, equality: 'padded' as const }),
    };
    expect(one('creditCard', '4111111111111111    ', padded)).toMatch(/^\d{16}$/);
  });
});

describe('iban', () => {
  const valid = (text: string) => {
    const compact = text.replace(/[ -]/g, '');
    return remainder(compact.slice(4) + compact.slice(0, 4)) === 1;
  };
  // The examples of the IBAN registry.
  const REAL = [
    'DE89 3704 0044 0532 0130 00',
    'GB29NWBK60161331926819',
    'FR14 2004 1010 0505 0001 3M02 606',
    'NO93 8601 1117 947',
    'MT84MALT011000012345MTLCAST001S',
    'CH93-0076-2011-6238-5295-7',
    'nl91abna0417164300',
  ];

  test.each(REAL)('%s keeps its form and is valid', (value) => {
    expect(valid(value)).toBe(true);
    const out = one('iban', value)!;
    expect(valid(out)).toBe(true);
    expect(out).not.toBe(value);
    expect(out.slice(0, 2)).toBe(value.slice(0, 2));
    const classes = (text: string) => text.replace(/[A-Z]/g, 'A').replace(/[a-z]/g, 'a').replace(/\d/g, '0');
    expect(classes(out)).toBe(classes(value));
  });

  test('is valid and new for every account and key', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/), fc.string(), (value, key) => {
        const out = one('iban', value, { key })!;
        expect(valid(out)).toBe(true);
        expect(out).not.toBe(value);
      }),
    );
  });

  test('what is no IBAN follows onInvalid', () => {
    expect(
      run('iban', ['', 'DE89', '12345678901234567', 'DE89 3704 0044 0532 0130 0Ö', 'n/a', null]).failed.size,
    ).toBe(5);
    expect(one({ iban: { onInvalid: 'null' } }, 'n/a')).toBeNull();
    expect(accepts('iban', type('uuid'))).toMatch(/text/);
  });
});
