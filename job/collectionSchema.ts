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

/** A transformer, `drop`, `block`, or one a BSON type. */
const field = z
  .union([
    z.enum(['drop', 'block']).describe('drop leaves the field out, block refuses the document.'),
    closed({
      types: z
        .record(z.string(), transformerSpec)
        .describe('BSON type (string, int, long, date, objectId, …, or else) to transformer.')
        .optional(),
      apply: transformerSpec.optional(),
      special: z
        .enum(['refuse', 'keep'])
        .describe(
          'NaN, infinities, dates beyond the year 9999 where a transformer would have to read them. Default refuse.',
        )
        .optional(),
    }),
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
  derive: z
    .record(
      z.string().min(1),
      closed({
        from: path.describe('Path of the field whose source value is taken.'),
        apply: transformerSpec,
      }),
    )
    .describe('New fields at the top of the document, made from others.')
    .optional(),
  accept: z
    .array(z.string().min(1))
    .min(1)
    .describe(
      'Unique indexes, by name, that the plan cannot prove: documents that violate them go to quarantine.',
    )
    .optional(),
  pushdown: z
    .boolean()
    .describe(
      'Anonymize by one aggregation on the server, where both ends are one deployment. Default false.',
    )
    .optional(),
  allowKeyOnServer: z
    .boolean()
    .describe(
      'Let keyed transformers be pushed down: the profiler and logs of the server may show the key. Default false.',
    )
    .optional(),
});
