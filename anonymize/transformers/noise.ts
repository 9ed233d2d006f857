import { z } from 'zod';
import { atScale, canonicalDecimal, formatDecimal, parseDecimal } from '../decimal.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread } from '../invalid.js';
import { isNumber, numberRange, workingScale } from '../numbers.js';
import { defineTransformer } from '../transformer.js';

/** Adds keyed noise to numbers. */
export const noise = defineTransformer({
  name: 'noise',
  version: 1,
  summary: 'Moves a number by a keyed amount; scale, sign and the range of the type stay.',
  example: {
    options: { relative: 0.2 },
    input: '1999.90',
    type: { kind: 'numeric', name: 'numeric(10,2)', precision: 10, scale: 2 },
  },
  options: z
    .strictObject({
      relative: z
        .number()
        .gt(0)
        .max(10)
        .optional()
        .describe('Largest change as a share of the value. Default 0.1 without `absolute`.'),
      absolute: z
        .number()
        .gt(0)
        .optional()
        .describe('Largest change in units of the column, instead of `relative`.'),
      onInvalid: onInvalid.describe('NaN and Infinity: `fail` refuses the row, `null` empties the value.'),
    })
    .refine(
      (o) => o.relative === undefined || o.absolute === undefined,
      'give relative or absolute, not both',
    ),
  shorthand: 'relative',
  accepts: (type, options) => (isNumber(type) ? acceptsInvalid(type, options.onInvalid) : 'it takes numbers'),
  proof: (_, options) => ({
    unique: 'no',
    mayEqualInput: true,
    keepsNull: options.onInvalid !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { options, type, prf } = context;
    const finish = invalidRows(context);
    const reach = reaches(options);
    return (values, chunk) => {
      const random = Buffer.from(prf.bytes('noise', values));
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        if (value === null) return null;
        const read = parseDecimal(value);
        if (!read) {
          unread.push({ row, reason: 'not a finite number' });
          return null;
        }
        // 1.0 and 1.00 are equal and must stay so: the change never depends on trailing zeros.
        const scale = workingScale(type, canonicalDecimal(read).scale);
        const digits = atScale(read, scale);
        const moved = move(
          digits,
          reach(digits, scale),
          random.readBigUInt64BE(row * 16),
          numberRange(type, scale),
        );
        const shown = Math.max(scale, read.scale);
        return formatDecimal(moved * 10n ** BigInt(shown - scale), shown);
      });
      return finish(values, out, unread, chunk);
    };
  },
});

/** How far a number may move, at its scale; at least one step of its last digit. */
function reaches(options: { relative?: number | undefined; absolute?: number | undefined }) {
  if (options.absolute !== undefined) {
    const absolute = parseDecimal(String(options.absolute))!;
    return (_: bigint, scale: number) => atScale(absolute, scale) || 1n;
  }
  const millionths = BigInt(Math.round((options.relative ?? 0.1) * 1e6)) || 1n;
  return (digits: bigint) => (magnitude(digits) * millionths + 999_999n) / 1_000_000n;
}

/** Mirrors at zero, so that the sign stays, and at the end of the type's range. */
function move(digits: bigint, reach: bigint, random: bigint, range: { max: bigint } | undefined): bigint {
  const change = ((random * (2n * reach + 1n)) >> 64n) - reach;
  const size = magnitude(digits);
  const fits = (candidate: bigint) => range === undefined || candidate <= range.max;
  const moved = [magnitude(size + change), magnitude(size - change)].find(fits) ?? size;
  return digits < 0n ? -moved : moved;
}

function magnitude(digits: bigint): bigint {
  return digits < 0n ? -digits : digits;
}
