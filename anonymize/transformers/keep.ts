import { z } from 'zod';
import { defineTransformer } from '../transformer.js';

export const keep = defineTransformer({
  name: 'keep',
  version: 1,
  summary: 'Copies the value as it is.',
  example: { input: 'Basic plan' },
  options: z.object({}),
  accepts: () => true,
  proof: () => ({ unique: 'injective', mayEqualInput: true, keepsNull: true, total: true }),
  compile: () => (values) => values as (string | null)[],
});
