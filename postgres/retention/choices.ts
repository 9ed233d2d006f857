import type { SealedColumn } from '../../job/retention/types.js';
import type { Policy } from '../../retention/keys/policy.js';
import { quoteIdent, quoteLiteral } from '../identifiers.js';

/** A policy that rows of a column may have, with the label of its tokens there. */
export interface ChosenPolicy {
  readonly policy: Policy;
  readonly context: string;
}

/** All policies that a column names, each once. */
export function chosenPolicies(
  column: SealedColumn,
  policies: Readonly<Record<string, Policy>>,
): ChosenPolicy[] {
  const { policy } = column;
  const ids =
    typeof policy === 'string'
      ? [policy]
      : [...Object.values(policy.map), ...(policy.default === undefined ? [] : [policy.default])];
  return [...new Set(ids)].map((id) => chosen(column, policies[id]!));
}

/**
 * An SQL expression that goes by the policy of the row.
 *
 * @param each The expression for rows of one policy; rows of which the file says nothing go by `none`.
 */
export function byPolicy(
  column: SealedColumn,
  policies: Readonly<Record<string, Policy>>,
  each: (chosen: ChosenPolicy) => string,
  none: string,
  row = '',
): string {
  const { policy } = column;
  if (typeof policy === 'string') return each(chosen(column, policies[policy]!));
  // As it is, whatever its own collation takes for equal.
  const by = `${row}${quoteIdent(policy.by)}::text COLLATE "C"`;
  const cases = Object.entries(policy.map).map(([value, id]) => ({
    value,
    sql: each(chosen(column, policies[id]!)),
  }));
  const otherwise = policy.default === undefined ? none : each(chosen(column, policies[policy.default]!));
  if (cases.every(({ sql }) => sql === otherwise)) return otherwise;
  const whens = cases.map(({ value, sql }) => `WHEN ${quoteLiteral(value)} THEN ${sql}`);
  return `CASE ${by} ${whens.join(' ')} ELSE ${otherwise} END`;
}

function chosen(column: SealedColumn, policy: Policy): ChosenPolicy {
  return { policy, context: column.context ?? policy.context };
}
