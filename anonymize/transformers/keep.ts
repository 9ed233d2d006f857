import { z } from 'zod';
import { defineTransformer } from '../transformer.js';

/** The column is copied as it is: a decision, not an accident. */
export const keep = defineTransformer({
  name: 'keep',
  version: 1,
  summary: 'Copies the value as it is. For columns that identify nobody.',
  example: { input: 'in stock' },
  options: z.strictObject({}),
  accepts: () => true,
  proof: () => ({ unique: 'injective', mayEqualInput: true, keepsNull: true, total: true }),
  compile: () => (values) => values.slice(),
});
