import { nestedSpecs } from '../anonymize/registry.js';
import type { TransformerSpec } from '../anonymize/transformer.js';
import type { RetainOptions } from '../anonymize/transformers/retain.js';
import { didYouMean } from '../job/nearest.js';
import type { Job } from '../job/types.js';
import { chosenPolicies, type Policy } from '../retention/keys/policy.js';
import { tokenLength } from '../retention/token/format.js';
import type { Decision, Decisions } from './decide.js';
import { specsOf } from './effects.js';
import type { Findings, Place } from './findings.js';
import { type ColumnPair, columnOf, type TablePair } from './model.js';
import type { ColumnPlan, Plan } from './plan.js';

/** Bytes of a value that a column without a limit in the source must have room for at least, as a token. */
const USUAL_BYTES = 16;
/** Types that date a row. */
const DATES = ['date', 'timestamp', 'timestamptz'];

/** How a spec, and those inside it, seal. */
export function retainsOf(spec: TransformerSpec): RetainOptions[] {
  return [...nestedSpecs(spec)]
    .filter(({ name }) => name === 'retain')
    .map(({ options }) => options as unknown as RetainOptions);
}

/** Values of the column are sealed, in whole or in part: two runs over the same row give different tokens. */
export function isSealed({ branches }: Pick<ColumnPlan, 'branches'>): boolean {
  return specsOf(branches).some((spec) => retainsOf(spec).length > 0);
}

/** Every `retain` of a plan. */
export function retainsOfPlan({ tables }: Pick<Plan, 'tables'>): RetainOptions[] {
  return tables.flatMap(({ columns }) =>
    columns.flatMap(({ branches }) => specsOf(branches).flatMap(retainsOf)),
  );
}

/** Judges every sealed column: its policies, its type and room in the destination, what dates its values. */
export function judgeSealing(
  job: Job,
  tables: readonly TablePair[],
  decisions: Decisions,
  findings: Findings,
): void {
  for (const table of tables) {
    for (const column of table.columns) {
      const decision = decisions.of.get(column.key);
      if (decision) judgeColumn(job, table, column, decision, findings);
    }
  }
}

function judgeColumn(
  job: Job,
  table: TablePair,
  column: ColumnPair,
  decision: Decision,
  findings: Findings,
): void {
  const place = {
    table: table.name,
    column: column.source.name,
    ...(decision.position && { position: decision.position }),
  };
  for (const spec of specsOf(decision.branches)) {
    const rules = retainsOf(spec);
    if (rules.length === 0) continue;
    const policies = rules.flatMap((rule) => findPolicies(job, rule, column.key, place, findings));
    for (const rule of rules) judgeDate(table, column, rule, place, findings);
    if (spec.name === 'retain') judgeRoom(column, rules[0]!, policies, place, findings);
  }
}

/** The policies of a rule; notes those that the retention file does not have. `name` is the column's, for people. */
export function findPolicies(
  job: Job,
  { policy }: RetainOptions,
  name: string,
  place: Place,
  findings: Findings,
): Policy[] {
  if (!job.retention) {
    findings.refuse(
      'no-retention',
      `${name} is sealed, but the job names no retention file: write \`retention: ./retention.yaml\` in the job file`,
      place,
    );
    return [];
  }
  const known = job.retention.read?.file.policies;
  if (!known) return [];
  return chosenPolicies(policy).flatMap((id) => {
    const found = known[id];
    if (!found)
      findings.refuse(
        'unknown-policy',
        `${name}: there is no policy "${id}" in ${job.retention!.path}${didYouMean(id, Object.keys(known))}`,
        place,
      );
    return found ?? [];
  });
}

function judgeDate(
  table: TablePair,
  column: ColumnPair,
  { date, policy }: RetainOptions,
  place: Place,
  findings: Findings,
): void {
  const kind = date === undefined ? undefined : columnOf(table, date)?.source.type.kind;
  if (kind !== undefined && !DATES.includes(kind))
    findings.refuse(
      'not-a-date',
      `${column.key}: ${date} is ${columnOf(table, date!)!.source.type.name}, and a value is dated by a column of type date, timestamp or timestamptz`,
      place,
    );
  const isDated =
    date === column.source.name || (typeof policy !== 'string' && policy.by === column.source.name);
  if (isDated)
    findings.refuse(
      'sealed-by-itself',
      `${column.key} is what its own values go by: name another column`,
      place,
    );
}

/** Tokens are longer than what they hold. */
function judgeRoom(
  { key, source, destination }: ColumnPair,
  { pattern }: RetainOptions,
  policies: readonly Policy[],
  place: Place,
  findings: Findings,
): void {
  const { type } = destination;
  const alter = `ALTER TABLE … ALTER COLUMN ${destination.name} TYPE`;
  if (type.kind !== 'text' || type.equality === 'padded') {
    findings.refuse(
      'no-room-for-tokens',
      `${key} is ${type.name} in the destination, and tokens are text: ${alter} text there`,
      place,
    );
    return;
  }
  if (type.equality === 'caseless')
    findings.warn(
      'caseless-tokens',
      `${key} is ${type.name} in the destination, which compares tokens without letter case: do not search by them`,
      place,
    );
  if (type.maxLength === undefined) return;
  if (pattern !== undefined) {
    const each = Math.max(0, ...policies.map(({ pad }) => tokenLength(USUAL_BYTES, pad)));
    findings.refuse(
      'no-room-for-tokens',
      `${key} is ${type.name} in the destination, and each match inside it grows to ${each} characters or more: ${alter} text there`,
      place,
    );
    return;
  }
  const longest = source.type.maxLength ?? USUAL_BYTES;
  const needed = Math.max(0, ...policies.map(({ pad }) => tokenLength(longest, pad)));
  if (type.maxLength < needed)
    findings.refuse(
      'no-room-for-tokens',
      `${key} is ${type.name} in the destination, and the token of ${longest} bytes has ${needed} characters: ${alter} character varying(${needed}) or text there`,
      place,
    );
}
