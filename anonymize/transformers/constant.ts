import { z } from 'zod';
import { misfit } from '../fit.js';
import { defineTransformer } from '../transformer.js';

/** One value for all; NULL stays NULL. */
export const constant = defineTransformer({
  name: 'constant',
  version: 1,
  summary: 'Puts one and the same value in the place of every value; NULL stays NULL.',
  example: { options: { value: 'redacted' }, input: 'Ann has a cough' },
  options: z.strictObject({
    value: z
      .union([z.string(), z.number(), z.boolean()])
      .transform(String)
      .describe(
        'The value, as the database writes it. Quote numbers with more than 15 digits, and dates. A JSON column takes JSON text.',
      ),
  }),
  shorthand: 'value',
  accepts: (type, { value }) => {
    const reason = misfit(type, value);
    return reason === undefined || `the value does not fit: ${reason}`;
  },
  proof: () => ({ unique: 'no', mayEqualInput: true, keepsNull: true, total: true }),
  compile:
    ({ options: { value } }) =>
    (values) =>
      values.map((input) => (input === null ? null : value)),
});
