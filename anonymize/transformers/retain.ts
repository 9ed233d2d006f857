import { z } from 'zod';
import { LetheError } from '../../errors/errors.js';
import { dayOfText } from '../../retention/token/day.js';
import { NESTED_LEAF } from '../nested.js';
import { type Column, type ColumnType, defineTransformer } from '../transformer.js';

const policyId = z
  .string()
  .regex(/^[a-z0-9]{2}$/, 'a policy id is two characters of a–z and 0–9, such as ip')
  .describe('Two characters of a–z and 0–9: a policy of the retention file.');

const pattern = z
  .string()
  .min(1)
  .refine(isPattern, 'it is no regular expression, or one that matches the empty text')
  .describe(
    'Seals only what it finds inside the text: `ipv4`, `ipv6`, `email`, `mac`, `uuid`, or a regular expression (of one with a group named `value`, that group). Default the whole value.',
  );

const options = z.strictObject({
  policy: z
    .union([
      policyId,
      z.strictObject({
        by: z
          .string()
          .min(1)
          .describe('Column of the same row, or field of the same document, whose value decides.'),
        map: z.record(z.string(), policyId).describe("The column's value, as text, to the policy."),
        default: policyId.optional().describe('For every other value. Without it such a row is refused.'),
      }),
    ])
    .describe('The retention policy of the values: one for all rows, or by the value of a column.'),
  date: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Column (date or timestamp) or field of the document whose UTC day dates the value; a row without one is refused. Default the day of the run.',
    ),
  context: z.string().optional().describe("Label that tokens are bound to. Default the policy's."),
  pattern: pattern.optional(),
});

export type RetainOptions = z.output<typeof options>;

/** Kinds whose text is sealed as it is; the column of the destination is text. */
const KINDS = new Set<ColumnType['kind']>([
  ...(['text', 'inet', 'uuid', 'objectId', 'int2', 'int4', 'int8', 'numeric', 'float', 'bool'] as const),
  ...(['date', 'timestamp', 'timestamptz', 'time', 'interval', 'enum'] as const),
]);

/**
 * Seals values that fade. Salts are random and never derived from the value: whoever had the key of such a derivation
 * could confirm a guess for ever, also when the day key is destroyed.
 */
export const retain = defineTransformer<RetainOptions>({
  name: 'retain',
  version: 1,
  summary:
    'Seals values under a retention policy: readable with its day keys until the window ends, and by nobody ever after.',
  example: { options: { policy: 'ip', pattern: 'ipv4' }, input: 'login from 192.0.2.7' },
  options,
  shorthand: 'policy',
  accepts: ({ kind, name }, { pattern }) =>
    KINDS.has(kind) ||
    (name === NESTED_LEAF.name && pattern === undefined) ||
    (kind === 'json'
      ? 'a document has no column of tokens: name the paths of its fields, json: { "$.client.ip": { retain: { … } } }'
      : `${name} has no text to seal`),
  proof: () => ({ unique: 'no', mayEqualInput: true, keepsNull: false, total: false }),
  needs: ({ policy, date }) => [
    ...(date === undefined ? [] : [date]),
    ...(typeof policy === 'string' ? [] : [policy.by]),
  ],
  compile: ({ options: { policy, date, ...rule }, type, sealing }) => {
    const typed = type.name === NESTED_LEAF.name;
    if (!sealing)
      throw new LetheError(
        'PlanRefused',
        'retain needs day keys: name the retention file in the job file, `retention: ./retention.yaml`.',
      );
    return (values, chunk) => {
      const dates = date === undefined ? undefined : chunk.source(date);
      const deciders = typeof policy === 'string' ? undefined : chunk.source(policy.by);
      const policyOf = (row: number) =>
        typeof policy === 'string' ? policy : (own(policy.map, deciders![row]) ?? policy.default);
      const out: (string | null)[] = new Array(values.length).fill(null);
      for (const [id, rows] of grouped(values, policyOf)) {
        if (id === undefined) {
          for (const row of rows) chunk.fail(row, 'no policy is said for this row');
          continue;
        }
        const sealed = sealing.seal(
          { ...rule, policy: id, typed },
          rows.map((row) => values[row]!),
          rows.map((row) => (dates ? dayOfText(dates[row]) : sealing.day)),
          (place, reason) => chunk.fail(rows[place]!, reason),
        );
        for (const [i, row] of rows.entries()) out[row] = sealed[i]!;
      }
      return out;
    };
  },
});

function isPattern(text: string): boolean {
  try {
    return !new RegExp(text).test('');
  } catch {
    return false;
  }
}

function own(map: Readonly<Record<string, string>>, key: string | null | undefined): string | undefined {
  return key != null && Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Rows with a value, by policy. */
function grouped<T>(values: Column, of: (row: number) => T): Map<T, number[]> {
  const groups = new Map<T, number[]>();
  for (const [row, value] of values.entries()) {
    if (value === null) continue;
    const group = of(row);
    const rows = groups.get(group);
    if (rows) rows.push(row);
    else groups.set(group, [row]);
  }
  return groups;
}
