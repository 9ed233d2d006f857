import { z } from 'zod';
import { checksSchema } from './checkSettings.js';
import { collection } from './collectionSchema.js';
import { cronMistake } from './cron.js';
import { durationSeconds } from './duration.js';
import { globMistake } from './globs.js';
import { referenceMistake } from './references.js';
import { closed, text, transformerSpec } from './schemaParts.js';
import { virtualReferenceMistake } from './virtualReference.js';

/*
 * The shape of a job file, as people write it. Everything that YAML alone can show to be wrong is refused here; what
 * needs two places at once (overlays, rules, transformers) is in `normalize.ts`, what needs a database in the plan.
 */

const reference = (example: string) =>
  text((value) => referenceMistake(value, example)).meta({
    pattern: '^(env|file|exec):.',
    examples: [example],
  });
const glob = text(globMistake);
const sql = text((value) => (value.trim() === '' ? 'the condition is empty: leave the key out' : undefined));
const duration = text((value) =>
  durationSeconds(value) === undefined
    ? `"${value}" is no duration: write e.g. 90s, 30m, 6h, 1h30m or 1d`
    : undefined,
);
const tableName = text(tableNameMistake);
const columnName = text((value) =>
  value.split('.').length >= 3 ? undefined : `"${value}" is no column: write schema.table.column`,
);
const connections = z.int().min(1).max(64);

/** Stands for what a rule applies: one transformer, or one a column. */
export const applySpec = z.unknown().meta({ id: 'apply' });

const source = closed({
  postgres: reference('env:CRM_URL')
    .describe(
      'Reference to the connection URL of the database to copy: env:NAME, file:PATH or exec:COMMAND. It is never written.',
    )
    .optional(),
  mongodb: reference('env:SHOP_MONGODB')
    .describe('Instead of postgres: reference to the connection URL (mongodb://…) of the databases to copy.')
    .optional(),
  limits: closed({
    connections: connections.describe('Most connections to the source at once. Default 4.').optional(),
    snapshot: z
      .union(
        [
          duration,
          closed({
            maxAge: duration
              .describe('Longest time the snapshot is held before the run gives it up. Default 6h.')
              .optional(),
            maxPause: duration
              .describe('Longest pause of a run that keeps the snapshot. Default 10m.')
              .optional(),
          }),
        ],
        { error: 'expected a duration such as 6h, or { maxAge: 6h, maxPause: 10m }' },
      )
      .describe('Longest time the snapshot is held; a snapshot holds back vacuum on the source. Default 6h.')
      .optional(),
  })
    .describe('What the run may take from the source.')
    .optional(),
  encoding: z
    .string()
    .min(1)
    .describe('Encoding of the text in a SQL_ASCII source, e.g. WIN1252. Needed only there.')
    .optional(),
});

const destination = closed({
  postgres: reference('env:STAGING_URL')
    .describe(
      'Reference to the connection URL of the database to write: env:NAME, file:PATH or exec:COMMAND.',
    )
    .optional(),
  mongodb: reference('env:STAGING_MONGODB')
    .describe(
      'Instead of postgres: reference to the connection URL (mongodb://…) of the database to write; it names the database.',
    )
    .optional(),
  databases: z
    .record(z.string(), z.string().min(1))
    .describe('MongoDB: databases that are called otherwise there: source name to destination name.')
    .optional(),
  mode: z
    .enum(['replace', 'upsert'])
    .describe(
      'replace (default): tables are emptied and loaded. upsert: rows are inserted or updated by a key.',
    )
    .optional(),
  createSchema: z
    .boolean()
    .describe(
      'Copy the schema with pg_dump when the destination has no tables. Default false: the tables must be there.',
    )
    .optional(),
  connections: connections.describe('Most connections to the destination at once. Default 4.').optional(),
  schemas: z
    .record(z.string(), z.string().min(1))
    .describe('Schemas that are called otherwise in the destination: source name to destination name.')
    .optional(),
  deleteMissing: z
    .boolean()
    .describe(
      'With upsert: delete rows that the source no longer has. Default false: deletions are not followed.',
    )
    .optional(),
});

const key = reference('env:LETHE_KEY').describe(
  'Reference to the job key: 32 random bytes as base64 (`lethe keygen`). Equal keys give equal output.',
);

const schedule = closed({
  cron: text(cronMistake).describe('Five cron fields, @daily and the like, or "@every 6h".'),
  timezone: text((value) =>
    isTimezone(value) ? undefined : `"${value}" is no time zone: write an IANA name such as Europe/Berlin`,
  )
    .describe('IANA time zone of the cron fields. Default UTC.')
    .optional(),
}).describe('When `lethe apply` lets the job run by itself.');

const rule = closed({
  name: text((value) => {
    if (value.trim() === '') return 'the name is empty';
    if (RESERVED_RULES.includes(value)) return `"${value}" is a name that Lethe uses itself: choose another`;
    return undefined;
  }).describe('Names the rule in the ledger, the plan and `lethe explain`. Unique in the file.'),
  match: closed({
    table: glob.describe('Glob over schema.table, e.g. public.staff or "crm_*.*".').optional(),
    column: glob.describe('Glob over the column name, letter case not counted, e.g. "*email*".').optional(),
    type: glob
      .describe(
        'A kind (text, int8, date, json, …) or a glob over the database\'s type name, e.g. "varchar*".',
      )
      .optional(),
  }).describe('Which columns. All that is given must match; table or column must be given.'),
  when: sql
    .describe(
      'SQL condition over the source row, true for the rows that apply is for. Use :run_time instead of now().',
    )
    .optional(),
  apply: applySpec.describe(
    'A transformer for every matching column, or { column: transformer } when match names no column.',
  ),
  otherwise: applySpec
    .describe(
      'For rows where `when` is not true. Covers exactly the columns of apply. Without it they go on to the next rule.',
    )
    .optional(),
});

const table = closed({
  where: sql
    .describe('SQL condition: only these rows are copied. Use :run_time instead of now().')
    .optional(),
  skip: z.boolean().describe('Leave the table out.').optional(),
  columns: z
    .record(z.string(), transformerSpec)
    .describe('Column name to transformer. An explicit column beats every rule.')
    .optional(),
  rename: tableName.describe('schema.table in the destination.').optional(),
  orphans: z
    .literal('drop')
    .describe('Leave out rows whose parent is filtered away by its `where`.')
    .optional(),
  sequence: z
    .literal('keep')
    .describe('Do not restart the sequence of a permuted key above its range; new rows may then collide.')
    .optional(),
  accept: z
    .array(z.string().min(1))
    .min(1)
    .describe(
      'Constraints and unique indexes, by name, that the plan cannot prove: rows that violate them go to quarantine.',
    )
    .optional(),
  conflictKey: z
    .array(z.string().min(1))
    .min(1)
    .describe('Columns by which upsert finds a row. Default: the primary key.')
    .optional(),
});

const share = /^(\d{1,3}(?:\.\d+)?)%$/;
const limit = z.union(
  [
    z.int().min(0),
    text((value) => {
      const percent = Number(share.exec(value)?.[1] ?? Number.NaN);
      return percent <= 100 ? undefined : `"${value}" is no share: write e.g. 0.1%`;
    }),
  ],
  { error: 'expected a number of rows such as 1000, or a share of the table such as 0.1%' },
);

const environment = closed({
  source: source.optional(),
  destination: destination.optional(),
  key: key.optional(),
  schedule: schedule.optional(),
});

/** Rule names of the plan's own decisions. */
export const RESERVED_RULES: readonly string[] = ['columns', 'foreign key', 'unlisted'];

/** The whole file. */
export const jobSchema = closed({
  job: text((value) =>
    /^[a-z0-9][a-z0-9-]{0,62}$/.test(value)
      ? undefined
      : `"${value}" is no job name: use up to 63 lower-case letters, digits and dashes, starting with a letter or digit`,
  ).describe('Name of the job: lower-case letters, digits and dashes. Part of every workflow id.'),
  source: source.describe('The database to copy.').optional(),
  destination: destination.describe('The database to write.').optional(),
  key: key.optional(),
  consistency: z
    .enum(['job', 'run'])
    .describe('job (default): the same output every run. run: outputs of two runs cannot be linked.')
    .optional(),
  unlisted: z
    .enum(['block', 'keep', 'null'])
    .or(z.null())
    .describe(
      'What becomes of a column that nobody decided on: block (default) stops the plan, keep copies it, null empties it.',
    )
    .optional(),
  schedule: schedule.optional(),
  include: z
    .array(glob)
    .describe('Globs over schema.table: what is copied. Default everything but system schemas.')
    .optional(),
  exclude: z.array(glob).describe('Globs over schema.table: what is left out of `include`.').optional(),
  rules: z
    .array(rule)
    .describe('The first rule that matches a column decides; explicit columns beat rules.')
    .optional(),
  tables: z
    .record(z.string(), table)
    .describe('What is special about one table, by schema.table of the source.')
    .optional(),
  collections: z
    .record(z.string(), collection)
    .describe('MongoDB: what becomes of each collection, by database.collection of the source.')
    .optional(),
  domains: z
    .record(z.string().min(1), z.array(columnName).min(1))
    .describe(
      'Names for sets of columns in which equal inputs give equal outputs: name to schema.table.column members.',
    )
    .optional(),
  references: z
    .array(text(virtualReferenceMistake))
    .describe(
      'Foreign keys that the database does not declare: "public.a.b_id -> public.b.id", "public.a.(x, y) -> public.b.(x, y)".',
    )
    .optional(),
  onFailure: z
    .union(
      [
        z.enum(['fail', 'quarantine']),
        closed({
          quarantine: limit.describe('Rows, or a share of the table such as 0.1%.'),
          wait: duration
            .describe(
              'A run with rows in quarantine stays open so long for a replay, then it fails. Default: it fails at once.',
            )
            .optional(),
        }),
      ],
      {
        error:
          'expected fail, quarantine, { quarantine: 1000 }, { quarantine: 0.1% } or { quarantine: 1000, wait: 4h }',
      },
    )
    .describe(
      'Rows that cannot be written: fail at the first, or quarantine up to a limit. Default { quarantine: 1000 }.',
    )
    .optional(),
  whenBusy: z
    .enum(['refuse', 'wait'])
    .describe('When another live run owns a table of this one. Default refuse.')
    .optional(),
  evidence: z
    .enum(['batch', 'row'])
    .describe('Digests kept in the ledger: per batch (default), or also 16 keyed bytes a row.')
    .optional(),
  batchRows: z
    .int()
    .min(100)
    .max(1_000_000)
    .describe('Rows of a batch, about: one transaction of the destination. Default 50000.')
    .optional(),
  concurrency: z
    .int()
    .min(1)
    .max(64)
    .describe('Partitions in flight at once, over all tables. Default 4.')
    .optional(),
  retention: z
    .string()
    .min(1)
    .describe('Path of the retention file whose policies `retain` seals by, relative to this file.')
    .optional(),
  checks: checksSchema
    .describe('What a finished run is checked for, and what a failed check means.')
    .optional(),
  ledger: closed({
    keep: z
      .union([z.int().min(1).max(1_000_000), duration], {
        error: 'expected a time such as 400d, or a number of runs such as 50',
      })
      .describe('A time such as 400d, or a number of runs: older ones are removed when a run is complete.'),
  })
    .describe('What the destination remembers of earlier runs of the job. Default: everything.')
    .optional(),
  environments: z
    .record(z.string().min(1), environment)
    .describe(
      'Overlays chosen by --env: their source and destination keys replace those above one by one, key and schedule whole.',
    )
    .optional(),
});

/** A job file as an object: what `defineJob` takes and what YAML reads as. */
export type JobFile = z.input<typeof jobSchema>;

/** What is wrong with `schema.table`, or undefined. */
export function tableNameMistake(value: string): string | undefined {
  return value.includes('.') ? undefined : `"${value}" does not name its schema: write e.g. public.${value}`;
}

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
