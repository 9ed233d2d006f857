import { z } from 'zod';
import { words } from '../../crypto/aes.js';
import { fold } from '../canonical.js';
import { misfit } from '../fit.js';
import { generator } from '../generate.js';
import { defineTransformer } from '../transformer.js';

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const permitted = z.union([z.array(scalar).min(1), z.record(z.string(), z.number().gt(0))]);

/** Draws from a list in the job file. */
export const pick = defineTransformer({
  name: 'pick',
  version: 1,
  summary: 'One of the values that the job file lists, by weight.',
  example: { options: { values: { small: 1, medium: 3, large: 1 } }, input: 'medium' },
  options: z.object({
    values: permitted.describe('The values: a list, all equally likely, or a map of each to its weight.'),
    by: z
      .string()
      .optional()
      .describe(
        'Draws by another column, or by the row (`key`): equal values then get different picks. Without it equal ' +
          'values get equal picks, so that a column of few values is only renamed.',
      ),
    different: z
      .boolean()
      .default(false)
      .describe(
        'Never picks the value that was there. Leave it off for short lists: of two values it gives the other.',
      ),
  }),
  shorthand: 'values',
  accepts: (type, { values, different, by }) => {
    if (different && type.kind !== 'text') return 'different: true takes text columns';
    if (different && by !== undefined) return 'give either `by` or `different`';
    const entries = weighted(values);
    if (different && new Set(entries.map(([entry]) => fold(entry))).size < 2)
      return 'different: true needs two values';
    const wrong = entries.findIndex(([entry]) => misfit(type, entry) !== undefined);
    return wrong < 0 || `its value number ${wrong + 1} does not fit: ${misfit(type, entries[wrong]![0])}`;
  },
  proof: (_, { different, by }) => ({
    unique: 'no',
    mayEqualInput: !different,
    keepsNull: true,
    total: by === undefined,
  }),
  needs: ({ by }) => (by === undefined ? [] : [by]),
  compile: (context) => {
    const { by, different } = context.options;
    const entries = weighted(context.options.values);
    const index = indexer(entries.map(([, weight]) => weight));
    const entry = (number: number, step = 0): string => entries[(index(number) + step) % entries.length]![0];
    if (different) return generator(context, 'pick', (draw) => entry(draw.word(0), draw.step));
    return (values, chunk) => {
      const seeds = by === undefined ? values : chunk.source(by);
      const numbers = words(context.prf.bytes('pick', seeds));
      return values.map((value, row) => (value === null ? null : entry(numbers[row * 4]!)));
    };
  },
});

type Values = z.output<typeof permitted>;

function weighted(values: Values): [string, number][] {
  return Array.isArray(values) ? values.map((value) => [String(value), 1]) : Object.entries(values);
}

/** Finds the entry that a 32-bit number falls on, by bisection of the summed weights. */
function indexer(weights: readonly number[]): (number: number) => number {
  let sum = 0;
  const ends = Float64Array.from(weights, (weight) => (sum += weight));
  return (number) => {
    const target = (number / 2 ** 32) * sum;
    let low = 0;
    let high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle]! > target) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
