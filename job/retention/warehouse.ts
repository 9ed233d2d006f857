import { LetheError } from '../../errors/errors.js';
import type { MaskedColumn } from '../../retention/dialects/snowflake.js';
import { chosenPolicies } from '../../retention/keys/policy.js';
import type { RetentionFile, SealedColumn } from './types.js';

/**
 * The sealed columns of a retention file, as a warehouse that holds copies of its tables masks them.
 *
 * @param readers Roles that see values, instead of those of the file.
 * @throws LetheError `RetentionInvalid` where policies of one column have different contexts.
 */
export function maskedColumns(file: RetentionFile, readers: readonly string[] = []): MaskedColumn[] {
  return Object.entries(file.tables).flatMap(([table, sealed]) =>
    Object.entries(sealed.columns).map(([column, how]): MaskedColumn => {
      const policies = chosenPolicies(how.policy).map((id) => file.policies[id]!);
      const contexts = [...new Set(policies.map(({ context }) => how.context ?? context))];
      if (contexts.length > 1)
        throw new LetheError(
          'RetentionInvalid',
          `The policies of ${table}.${column} have different contexts, and a masking policy opens one: give the column a context.`,
        );
      return {
        table,
        column,
        holds: holdsOf(how),
        context: contexts[0] ?? '',
        policies,
        readers: readers.length > 0 ? readers : sealed.readers,
        others: sealed.others,
      };
    }),
  );
}

function holdsOf({ paths, pattern }: SealedColumn): MaskedColumn['holds'] {
  if (paths) return 'json';
  return pattern === undefined ? 'value' : 'text';
}
