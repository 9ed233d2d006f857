import { z } from 'zod';
import { closed, text, transformerSpec } from './schemaParts.js';

/*
 * `collections:` of a job file: MongoDB's counterpart of `tables:`. What stands at a field is checked by `collections.ts`.
 */

const path = text((value) =>
  value === '' || value.startsWith('.') || value.endsWith('.') || value.startsWith('$')
    ? `"${value}" is no path: write e.g. email, address.street, orders[].total or tiers.*.id`
    : undefined,
);

/** A transformer, `drop`, one a BSON type, or what a new field is made from. */
const field = z
  .union([
    z.literal('drop').describe('Leaves the field out.'),
    closed({
      byType: z
        .record(z.string(), transformerSpec)
        .describe('BSON type (string, int, long, date, objectId, …, or default) to transformer.'),
    }),
    closed({
      from: path.describe('Path of the field whose source value is taken.'),
      apply: transformerSpec,
    }).describe('A new field, made from another one.'),
    transformerSpec,
  ])
  .meta({ id: 'field' });

export const collection = closed({
  where: z
    .record(z.string(), z.unknown())
    .describe('Filter in the query language of MongoDB (extended JSON): only these documents are copied.')
    .optional(),
  skip: z.boolean().describe('Leave the collection out.').optional(),
  rename: text((value) =>
    /^[^.]+\../.test(value) ? undefined : `"${value}" does not name its database: write database.collection`,
  )
    .describe('database.collection in the destination.')
    .optional(),
  unlisted: z
    .enum(['block', 'keep', 'null'])
    .or(z.null())
    .describe('What becomes of a field that no path decides. Default: as the job says.')
    .optional(),
  fields: z
    .record(path, field)
    .describe('Path to transformer. [] stands for every element of an array, * for every key.')
    .optional(),
  accept: z
    .array(z.string().min(1))
    .min(1)
    .describe('Unique indexes, by name, that the plan cannot prove: documents that violate them go to quarantine.')
    .optional(),
  pushdown: z
    .boolean()
    .describe('Anonymize by one aggregation on the server, where both ends are one deployment. Default false.')
    .optional(),
  allowKeyOnServer: z
    .boolean()
    .describe('Let keyed transformers be pushed down: the profiler and logs of the server may show the key. Default false.')
    .optional(),
});
