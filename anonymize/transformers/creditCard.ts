import { z } from 'zod';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { keyStreams } from '../keystream.js';
import { defineTransformer } from '../transformer.js';

const CARD = /^\d(?:[ .-]?\d){11,18}$/;

/** Card numbers that pass the Luhn check. */
export const creditCard = defineTransformer({
  name: 'creditCard',
  version: 1,
  summary:
    'Replaces a card number by another one with a valid Luhn digit; first digit (the network), length and separators stay.',
  example: { input: '4111 1111 1111 1111' },
  options: z.strictObject({
    keepBin: z.boolean().default(false).describe('Keep the first six digits, which name the issuer.'),
    onInvalid,
  }),
  accepts: (type, options) =>
    type.kind === 'text' ? acceptsInvalid(type, options.onInvalid) : 'it takes text; use permute for numbers',
  proof: (_, options) => ({
    unique: 'no',
    mayEqualInput: false,
    keepsNull: options.onInvalid !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { options, type, prf } = context;
    const open = keyStreams(prf, 'creditCard');
    const finish = invalidRows(context);
    const kept = options.keepBin ? 6 : 1;
    return (column, chunk) => {
      const values = unpadded(type, column);
      const stream = open(values);
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        if (value === null) return null;
        if (CARD.test(value)) {
          stream.row(row);
          return renumber(value, kept, () => stream.below(10));
        }
        unread.push({ row, reason: 'not a card number of 12 to 19 digits' });
        return null;
      });
      return finish(values, out, unread, chunk);
    };
  },
});

function renumber(card: string, kept: number, digit: () => number): string {
  const old = Array.from(card.replace(/\D/g, ''), Number);
  const fresh = old.map((value, i) => (i < kept ? value : digit()));
  const check = old.length - 1;
  if (fresh.every((value, i) => i === check || value === old[i]))
    fresh[check - 1] = (fresh[check - 1]! + 1) % 10;
  fresh[check] = luhn(fresh.slice(0, check));
  let at = 0;
  return card.replace(/\d/g, () => String(fresh[at++]));
}

/** The check digit for the digits before it (ISO/IEC 7812-1, annex B). */
export function luhn(digits: readonly number[]): number {
  const sum = digits.toReversed().reduce((total, digit, i) => {
    const doubled = digit * 2;
    return total + (i % 2 === 1 ? digit : doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return (10 - (sum % 10)) % 10;
}
