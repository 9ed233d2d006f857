import { z } from 'zod';
import { defineTransformer } from '../transformer.js';

/** Every value becomes NULL. */
export const nullify = defineTransformer({
  name: 'null',
  version: 1,
  summary: 'Empties the column: every value becomes NULL.',
  example: { input: 'confidential' },
  options: z.strictObject({}),
  accepts: (type) =>
    type.nullable || 'the column is NOT NULL; use constant, or a transformer that keeps the type',
  proof: () => ({ unique: 'no', mayEqualInput: false, keepsNull: false, total: true }),
  compile: () => (values) => values.map(() => null),
});
