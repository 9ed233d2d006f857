import { z } from 'zod';
import { parsePath } from '../../json/path.js';
import { MAX_BYTES, MAX_CONTEXT } from '../../retention/token/format.js';
import { PATTERNS } from '../../retention/token/patterns.js';
import { cronMistake } from '../cron.js';
import { didYouMean } from '../nearest.js';
import { referenceMistake } from '../references.js';
import { closed, text } from '../schemaParts.js';

/*
 * The shape of a retention file, as people write it. What needs two places at once (names of stores and policies) is in
 * `load.ts`.
 */

const reference = (example: string) =>
  text((value) => referenceMistake(value, example)).meta({
    pattern: '^(env|file|exec):.',
    examples: [example],
  });
const path = text((value) => (value.trim() === '' ? 'the path is empty' : undefined));
const cron = text((value) => cronMistake(value));

const policyId = text((value) =>
  /^[a-z0-9]{2}$/.test(value) ? undefined : 'a policy id is two characters of a–z and 0–9, such as ip',
).meta({ pattern: '^[a-z0-9]{2}$', examples: ['ip'] });

const context = text((value) =>
  Buffer.byteLength(value) > MAX_CONTEXT ? `a context has at most ${MAX_CONTEXT} bytes in UTF-8` : undefined,
);

const store = closed({
  postgres: reference('env:LETHE_KEYS_URL').describe(
    'Reference to the URL of a PostgreSQL database of its own, which nothing else uses.',
  ),
  copy: path
    .describe(
      'Directory on another disk for the second copy. Without it there is one copy only, and an alarm.',
    )
    .optional(),
  masters: z
    .union(
      [
        closed({
          file: path.describe('Directory of master key files, mode 0600; never inside a data directory.'),
        }),
        closed({
          env: text((value) =>
            /^[A-Za-z_][A-Za-z0-9_]*$/.test(value)
              ? undefined
              : 'after env stands the name of one environment variable, such as LETHE_MASTER',
          ).describe(
            'Name of an environment variable with 32 bytes, base64. Destroying its keys has the grade none.',
          ),
        }),
      ],
      { error: 'expected { file: DIRECTORY } or { env: NAME }' },
    )
    .describe('Where master keys live.'),
  signing: reference('env:LETHE_SIGNING').describe(
    'Reference to 32 bytes, base64: what receipts are signed with.',
  ),
  simulated: z
    .boolean()
    .describe(
      'Time is what the store says: for demos and tests. A store is made so once, and for ever. Default false.',
    )
    .optional(),
});

const policy = closed({
  id: policyId.describe('Two characters of a–z and 0–9; part of every token, so it never changes.'),
  name: z.string().min(1).describe('For people.').optional(),
  window: z
    .int()
    .min(1)
    .max(3_650)
    .describe('Days that a value stays readable, counted from the UTC day that it is dated.'),
  store: z.string().min(1).describe('Key store that holds its day keys. Default: the only one.').optional(),
  context: context
    .describe('Label that its tokens are bound to; who opens one must know it. Default empty.')
    .optional(),
  expired: z
    .string()
    .or(z.null())
    .describe('What stands where an expired value is read: a text, or null. Default "[expired]".')
    .optional(),
  deterministic: z
    .boolean()
    .describe(
      'Equal values of one day give equal tokens, for ever: searchable, and linkable by anybody. Default false.',
    )
    .optional(),
  pad: z
    .int()
    .min(1)
    .max(MAX_BYTES)
    .describe('Values are filled up to a multiple of so many bytes, which hides their length. Default: not.')
    .optional(),
  requireGrade: z
    .enum(['erased', 'pending', 'bestEffort', 'none'])
    .describe(
      '`lethe retention verify` fails where a master key was destroyed less well. Default bestEffort.',
    )
    .optional(),
});

const choice = z.union(
  [
    policyId,
    closed({
      by: z.string().min(1).describe('Column of the same row whose value decides.'),
      map: z.record(z.string(), policyId).describe("The column's value, as text, to the policy."),
      default: policyId.describe('For every other value. Without it such a row is refused.').optional(),
    }),
  ],
  { error: 'expected a policy id such as ip, or { by: tenant_id, map: { "7": ip }, default: us }' },
);

const column = z.union(
  [
    policyId,
    closed({
      policy: choice.describe('One policy for all rows, or one by the value of a column.'),
      context: context.describe("Label of its tokens. Default the policy's.").optional(),
      pattern: text(patternMistake)
        .describe(`Only matches are sealed: ${Object.keys(PATTERNS).join(', ')}, or a regular expression.`)
        .optional(),
      paths: z
        .array(text(pathMistake))
        .min(1)
        .describe('JSONPaths of the fields that are sealed, e.g. $.client.ip.')
        .optional(),
    }),
  ],
  { error: 'expected a policy id such as ip, or { policy: ip, pattern: ipv4 }' },
);

const tableName = text((value) =>
  /^[^.]+\.[^.]+$/.test(value)
    ? undefined
    : `"${value}" does not name its schema: write e.g. public.${value}`,
);

const table = closed({
  database: reference('env:EVENTS_URL')
    .describe('Reference to the URL of the database. Default the one that the command is given.')
    .optional(),
  date: z
    .string()
    .min(1)
    .describe('Column (date or timestamp) that dates a row. Default the day of sealing.')
    .optional(),
  readers: z
    .array(z.string().min(1))
    .describe('Roles that read values through the view. Default only the owner.')
    .optional(),
  others: z
    .enum(['marker', 'null'])
    .or(z.null())
    .describe('What all other roles read. Default marker.')
    .optional(),
  view: tableName.describe('Masked view, as schema.name. Default the table with _readable.').optional(),
  trigger: z
    .boolean()
    .describe('A trigger seals what is inserted or updated in plain. Default false.')
    .optional(),
  check: z
    .boolean()
    .describe('A constraint admits nothing but tokens in columns that are sealed whole. Default false.')
    .optional(),
  columns: z.record(z.string().min(1), column).describe('Sealed columns.'),
});

/** The whole file. */
export const retentionSchema = closed({
  retention: closed({
    stores: z.record(z.string().min(1), store).describe('Key stores by name.'),
    policies: z.array(policy).min(1).describe('Retention policies.'),
    tables: z.record(z.string(), table).describe('What is sealed in databases, by schema.table.').optional(),
    schedules: closed({
      generate: cron.describe('When day keys are made, in UTC. Default "5 * * * *".').optional(),
      destroy: cron.describe('When due day keys are destroyed, in UTC. Default "30 0 * * *".').optional(),
    })
      .describe('Five-field cron expressions, in UTC.')
      .optional(),
  }),
});

/** A retention file as an object. */
export type RetentionFileInput = z.input<typeof retentionSchema>;

function patternMistake(value: string): string | undefined {
  if (value in PATTERNS) return undefined;
  if (/^[a-z0-9]+$/i.test(value))
    return `"${value}" is no pattern by name${didYouMean(value, Object.keys(PATTERNS))}`;
  try {
    return new RegExp(value).test('') ? 'this regular expression matches the empty text' : undefined;
  } catch {
    return 'this is no regular expression';
  }
}

function pathMistake(value: string): string | undefined {
  const steps = parsePath(value);
  return typeof steps === 'string' ? steps : undefined;
}
