import type { Severity } from '../job/types.js';
import { type Check, orAll } from './checks.js';
import type { Inspection } from './inspection.js';
import type { SealedColumn } from './sealed.js';

/** Keys were at hand, and yet nothing was compared that is the same. */
const NONE_ALIKE =
  'no value of the sample opens on both sides and is the same: tables may have no key, days may be over, rows may have changed';

/** Whether sealed columns hold tokens and nothing else, and whether what was opened of them is what the source holds. */
export function judgeSealed(
  severity: Severity | 'off',
  { sealed }: Pick<Inspection, 'sealed'>,
  name: (id: number) => string,
  what: 'columns' | 'fields' = 'columns',
): Check[] {
  if (!sealed || severity === 'off') return [];
  const { columns, mixed, opened } = sealed;
  const looked = columns.reduce((sum, column) => sum + column.looked, 0);
  const unopened = sealed.unopened ?? (opened === 0 && looked > 0 ? NONE_ALIKE : undefined);
  const faults = columns.flatMap((column) => faultsOf(column, severity, name(column.table)));
  const base = { name: 'sealed', observed: looked, details: { opened } } as const;
  const apart =
    mixed > 0
      ? ` ${mixed} more ${what} are sealed in some of their rows only, and were not looked at for it.`
      : '';
  const form = `${looked} values in ${columns.length} sealed ${what} are tokens, or stand for values whose day is over.${apart}`;
  if (unopened !== undefined)
    return [
      ...faults,
      {
        ...base,
        ok: false,
        severity: 'warn',
        message: `${faults.length > 0 ? 'No token was opened' : `${form} None was opened`}, so what they hold was not compared: ${unopened.replace(/\.$/, '')}.`,
      },
    ];
  return orAll(faults, {
    ...base,
    ok: true,
    message: `${form} ${opened} were opened, and hold what the source does.`,
  });
}

function faultsOf(
  { column, looked, plain, foreign, undated }: SealedColumn,
  severity: Severity,
  table: string,
): Check[] {
  const place = `${table}.${column}`;
  const fault = (count: number, grade: Severity, what: string): Check[] =>
    count === 0
      ? []
      : [
          {
            ...{ name: 'sealed', ok: false, severity: grade, table, column, observed: count, expected: 0 },
            details: { looked },
            message: `${count} of ${looked} values of ${place} ${what}`,
          },
        ];
  return [
    ...fault(
      plain,
      severity,
      'hold plain text where a token must be. Somebody else wrote the destination: run again with it to yourself.',
    ),
    ...fault(
      undated,
      severity,
      'are dated a day that no key can be of. Somebody else wrote the destination: run again with it to yourself.',
    ),
    ...fault(
      foreign,
      'warn',
      'are tokens of a policy that the column has none of: look whether the source held them.',
    ),
  ];
}
