import { z } from 'zod';
import { specSchema } from '../anonymize/registry.js';
import { jobSchema } from './schema.js';

const TRANSFORMER = { $ref: '#/$defs/transformer' };

/**
 * The JSON Schema (draft 2020-12) of a job file, for editors: descriptions, completion of transformers and of their
 * options. `parseJob` checks more than a schema can say.
 */
export function jobJsonSchema(): Record<string, unknown> {
  const shape = z.toJSONSchema(jobSchema, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;
  return {
    ...shape,
    title: 'Lethe job file',
    // An overlay may bring source, destination and key, so that only the name is always there.
    required: ['job'],
    $defs: {
      ...(shape.$defs as Record<string, unknown>),
      transformer: specSchema(TRANSFORMER.$ref),
      apply: {
        anyOf: [
          TRANSFORMER,
          { type: 'object', description: 'Column name to transformer.', additionalProperties: TRANSFORMER },
        ],
      },
    },
  };
}
