import { z } from 'zod';
import { scrambler } from '../scrambler.js';
import { defineTransformer } from '../transformer.js';

/** Letters to letters, digits to digits. */
export const scramble = defineTransformer({
  name: 'scramble',
  version: 1,
  summary:
    'Replaces letters by letters of the same script and case and digits by digits; the rest and the length stay.',
  example: { input: 'Dr. Ömer Ünal, Room 12b' },
  options: z.strictObject({}),
  accepts: (type) => type.kind === 'text' || 'it takes text; use permute, noise or ip for other types',
  // A value without letters and digits ("-") has nothing to scramble.
  proof: () => ({ unique: 'no', mayEqualInput: true, keepsNull: true, total: true }),
  compile: ({ prf }) => scrambler(prf, 'scramble'),
});
