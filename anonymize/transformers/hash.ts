import { z } from 'zod';
import { canonicalColumn, fold } from '../canonical.js';
import { fits, madeUp } from '../generate.js';
import { type ColumnType, defineTransformer, type Prf } from '../transformer.js';

/** Keyed bits that a character holds; a caseless column sees fewer different base64url ones. */
const BITS = { hex: () => 4, base64url: (type: ColumnType) => (type.equality === 'caseless' ? 5 : 6) };
/** Characters that one 16-byte output of the keyed function fills whole. */
const LANE = { hex: 32, base64url: 21 };

const options = z.object({
  format: z.enum(['hex', 'base64url']).default('hex').describe('Alphabet of the result.'),
  length: z
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe('Characters. Default 32 for `hex`, 21 for `base64url`, or what the column has room for.'),
});

/** Replaces values by keyed hashes. */
export const hash = defineTransformer({
  name: 'hash',
  version: 1,
  summary: 'A keyed hash: equal values stay equal, and nobody without the key can test a guess.',
  example: { options: { length: 24 }, input: 'DE-4711-0815' },
  options,
  shorthand: 'length',
  accepts: (type, { length = 1 }) => {
    if (type.kind !== 'text') return 'it makes texts; for keys use permute, for UUIDs uuid';
    return (
      fits(type, length) || `${length} characters do not fit: give a length of at most ${type.maxLength}`
    );
  },
  proof: (type, chosen) => madeUp(lengthOf(type, chosen) * BITS[chosen.format](type) >= 96),
  compile: ({ options: chosen, type, prf }) => {
    const length = lengthOf(type, chosen);
    const lanes = Math.ceil(length / LANE[chosen.format]);
    return (values) => {
      const inputs = canonicalColumn(values, type.equality);
      const texts = Array.from({ length: lanes }, (_, lane) => lane).map((lane) =>
        digits(prf, lane, inputs, chosen.format),
      );
      return inputs.map((value, row) => {
        if (value === null || value === '') return value;
        const made = texts
          .map((text) => text(row))
          .join('')
          .slice(0, length);
        return made.length === value.length && fold(made) === fold(value) ? other(made) : made;
      });
    };
  },
});

function lengthOf(type: ColumnType, { format, length }: z.output<typeof options>): number {
  return length ?? Math.min(format === 'hex' ? 32 : 21, type.maxLength ?? Number.POSITIVE_INFINITY);
}

/** A short hash can be its own input by chance. */
function other(made: string): string {
  return made.slice(0, -1) + (made.endsWith('0') ? '1' : '0');
}

function digits(
  prf: Prf,
  lane: number,
  values: readonly (string | null)[],
  format: 'hex' | 'base64url',
): (row: number) => string {
  const bytes = Buffer.from(prf.bytes(`hash/${lane}`, values));
  if (format === 'hex') {
    const text = bytes.toString('hex');
    return (row) => text.slice(row * 32, row * 32 + 32);
  }
  return (row) => bytes.toString('base64url', row * 16, row * 16 + 16).slice(0, 21);
}
