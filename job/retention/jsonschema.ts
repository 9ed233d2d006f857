import { z } from 'zod';
import { retentionSchema } from './schema.js';

/** The JSON Schema (draft 2020-12) of a retention file, for editors. `parseRetention` checks more than a schema can say. */
export function retentionJsonSchema(): Record<string, unknown> {
  const shape = z.toJSONSchema(retentionSchema, { io: 'input', unrepresentable: 'any' });
  return { ...shape, title: 'Lethe retention file' };
}
