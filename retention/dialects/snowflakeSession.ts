import { LetheError } from '../../errors/errors.js';
import type { Policy } from '../keys/policy.js';
import type { Ring } from '../token/ring.js';
import { keyVariables, snowflakeVariables } from './snowflake.js';

/** How session variables are written down: see `snowflakeSession`. */
export const SESSION_FORMATS = ['properties', 'json', 'sql'] as const;
export type SessionFormat = (typeof SESSION_FORMATS)[number];

/**
 * The keys of rings as a program that opens sessions reads them: a file of Java properties or a JSON object with the properties of
 * the connection (`$LETHE_IP_0`), or statements. It holds keys: never into a log or onto a screen.
 *
 * @param policies Of the rings, by id: their masking policies read so many variables as their windows have days.
 * @throws LetheError `RetentionInvalid` where a ring has more days than its masking policies read.
 */
export function snowflakeSession(
  rings: readonly Ring[],
  policies: Readonly<Record<string, Policy>>,
  format: SessionFormat,
): string {
  for (const ring of rings) refuseTooMany(ring, policies[ring.policy]);
  const variables = Object.entries(snowflakeVariables(rings));
  if (format === 'json')
    return `${JSON.stringify(Object.fromEntries(variables.map(([name, value]) => [`$${name}`, value])), null, 2)}\n`;
  const line =
    format === 'sql'
      ? ([name, value]: [string, string]) => `SET ${name} = '${value}';\n`
      : ([name, value]: [string, string]) => `$${name}=${value}\n`;
  return variables.map(line).join('');
}

function refuseTooMany(ring: Ring, policy: Policy | undefined): void {
  const made = Object.keys(snowflakeVariables([ring])).length - 1;
  const read = policy ? keyVariables(policy) : 0;
  if (made <= read) return;
  throw new LetheError(
    'RetentionInvalid',
    `The days of policy ${ring.policy} take ${made} session variables, and its masking policies read ${read}. Ask for fewer days: --since yyyy-mm-dd.`,
  );
}
