import { z } from 'zod';
import { canonicalColumn } from '../canonical.js';
import { acceptsText } from '../generate.js';
import { acceptsInvalid, invalidRows, type Unread } from '../invalid.js';
import { scrambler } from '../scrambler.js';
import { defineTransformer } from '../transformer.js';

/** Replaces postal codes and keeps their format. */
export const postalCode = defineTransformer({
  name: 'postalCode',
  version: 1,
  summary: 'Another postal code of the same format: digits for digits, letters for letters.',
  example: { options: { keep: 2 }, input: 'SW1A 1AA' },
  options: z.object({
    keep: z.int().min(0).default(0).describe('Characters at the start, the region, that stay. Default 0.'),
    onInvalid: z
      .enum(['fail', 'null'])
      .default('fail')
      .describe(
        'A code with nothing to replace behind the kept part: `fail` refuses the row, `null` empties it.',
      ),
  }),
  shorthand: 'keep',
  accepts: (type, options) => {
    const accepted = acceptsText(type, 1);
    return accepted === true ? acceptsInvalid(type, options.onInvalid) : accepted;
  },
  proof: (_, { onInvalid: mode }) => ({
    unique: 'no',
    mayEqualInput: false,
    keepsNull: mode !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { keep } = context.options;
    const scramble = scrambler(context.prf, 'postalCode');
    const finish = invalidRows(context);
    return (values, chunk) => {
      const inputs = canonicalColumn(values, context.type.equality);
      const rests = inputs.map((value) => value?.slice(unitsOf(value, keep)) ?? null);
      const scrambled = scramble(rests);
      const unread: Unread[] = [];
      const out = inputs.map((value, row) => {
        if (value === null || value === '') return value;
        const rest = rests[row]!;
        if (scrambled[row] !== rest) return value.slice(0, value.length - rest.length) + scrambled[row];
        unread.push({ row, reason: 'no letter or digit to replace' });
        return null;
      });
      return finish(values, out, unread, chunk);
    };
  },
});

/** UTF-16 units of the first characters of a text. */
function unitsOf(text: string, characters: number): number {
  return [...text.slice(0, characters * 2)].slice(0, characters).join('').length;
}
