import { z } from 'zod';
import { isRecord, type Reading } from './rules.js';
import { closed } from './schemaParts.js';
import type { CheckSettings, GroupCheck, Severity } from './types.js';

/*
 * `checks:` of a job file: what a finished run is checked for, and what a failed check means. A name alone is its
 * severity: `drift: off` is `drift: { severity: off }`.
 */

const severity = z
  .enum(['fail', 'warn'])
  .describe('fail: the run fails. warn: it is said, and the run stays complete.');
const optional = z
  .enum(['fail', 'warn', 'off'])
  .describe('fail: the run fails. warn: it is said, and the run stays complete. off: it is not looked for.');

const rows = (what: string, most: number) =>
  z.int().min(0).max(most).or(z.literal('all')).describe(what).optional();

/** A severity, or a map with options; Lethe's own words when it is neither. */
function check<S extends z.ZodRawShape>(level: typeof severity | typeof optional, options: S, what: string) {
  const names = level.options.join(', ');
  return z
    .union([level, closed({ severity: level.optional(), ...options })], {
      error: (issue) =>
        isRecord(issue.input) ? undefined : `expected ${names}, or a map such as { severity: warn }`,
    })
    .describe(what)
    .optional();
}

const kAnonymity = closed({
  table: z.string().min(1).describe('schema.table of the source.'),
  columns: z
    .array(z.string().min(1))
    .min(1)
    .describe('Quasi-identifiers: columns that together may point at one person.'),
  k: z.int().min(2).max(1_000_000).describe('Rows that must be alike in these columns, at least.'),
  severity: severity.optional(),
});

export const checksSchema = closed({
  rowCounts: check(severity, {}, 'Rows of each table against the ledger. Default fail.'),
  constraints: check(
    severity,
    { rows: rows('Rows a table whose parents are looked up, or all. Default 1000.', 100_000_000) },
    'Every constraint, index and trigger is back and valid; parents of a sample of rows are there. Default fail.',
  ),
  recompute: check(
    optional,
    { rows: rows('Rows a table that are read and transformed again, or all. Default 1000.', 100_000_000) },
    'A sample of rows is read from the source and transformed again; the destination must hold just that. Default fail.',
  ),
  leaks: check(
    optional,
    {
      rows: rows(
        'Rows, over all tables, that are searched for values of the source, or all. Default 20000, or 1 % of the rows if that is more.',
        1_000_000_000,
      ),
      rare: z
        .int()
        .min(1)
        .max(1_000_000)
        .describe(
          'A value identifies only when a column of the source has it in at most so many rows. Default 5.',
        )
        .optional(),
      minLength: z
        .int()
        .min(4)
        .max(1000)
        .describe('Shortest value, in letters and digits, that identifies. Default 8.')
        .optional(),
    },
    'Values that came out as they went in, and identifying values of the source anywhere in the destination. Default fail.',
  ),
  residual: check(
    optional,
    {
      share: z
        .number()
        .min(0)
        .max(1)
        .describe('Share of a column (0 to 1) that may look so. Default 0.')
        .optional(),
    },
    'Kept columns that hold what looks like e-mail addresses, phone, card and account numbers, IP addresses. Default warn.',
  ),
  drift: check(
    optional,
    {
      rows: rows('Rows a table, on each side, that are compared, or all. Default 2000.', 100_000_000),
      distance: z
        .number()
        .min(0)
        .max(1)
        .describe('Largest distance of a column, 0 (alike) to 1. Default 0.3.')
        .optional(),
    },
    'The distribution of each column beside that of the source: nulls, distinct values, range, length, most frequent. Default warn.',
  ),
  kAnonymity: z
    .array(kAnonymity)
    .describe(
      'Columns in which every row must be like at least k - 1 others. Default none; a failed one fails the run.',
    )
    .optional(),
});

const DEFAULTS = {
  rowCounts: 'fail',
  constraints: 'fail',
  recompute: 'fail',
  leaks: 'fail',
  residual: 'warn',
  drift: 'warn',
} as const satisfies Record<string, Severity>;

/** What is checked when the job file says nothing. */
export const DEFAULT_CHECKS: CheckSettings = settings(() => ({}), []);

/** `checks:` with its defaults. The shape may be wrong in places: that was reported. */
export function readChecks(raw: unknown, reading: Reading): CheckSettings {
  const given = isRecord(raw) ? raw : {};
  const groups = Array.isArray(given.kAnonymity) ? given.kAnonymity : [];
  return settings(
    (name) => {
      const value = given[name];
      return isRecord(value) ? value : typeof value === 'string' ? { severity: value } : {};
    },
    groups.flatMap((group: unknown, index): GroupCheck[] => {
      if (!isRecord(group) || !Array.isArray(group.columns)) return [];
      const path = ['checks', 'kAnonymity', index];
      const table = String(group.table);
      if (group.table !== undefined && !table.includes('.')) {
        reading.mistake(
          [...path, 'table'],
          `"${table}" does not name its schema: write e.g. public.${table}`,
        );
      }
      return [
        {
          table,
          columns: group.columns.map(String),
          k: Number(group.k),
          severity: group.severity === 'warn' ? 'warn' : 'fail',
          position: reading.source.position(path),
        },
      ];
    }),
  );
}

type Given = Readonly<Record<string, unknown>>;

function settings(given: (name: keyof typeof DEFAULTS) => Given, kAnonymity: GroupCheck[]): CheckSettings {
  const level = (name: keyof typeof DEFAULTS) => (given(name).severity ?? DEFAULTS[name]) as Severity | 'off';
  const strict = (name: keyof typeof DEFAULTS) => level(name) as Severity;
  const rowsOf = (name: keyof typeof DEFAULTS, usual: number | 'default') =>
    (given(name).rows ?? usual) as number | 'all';
  return {
    rowCounts: { severity: strict('rowCounts') },
    constraints: { severity: strict('constraints'), rows: rowsOf('constraints', 1000) },
    recompute: { severity: level('recompute'), rows: rowsOf('recompute', 1000) },
    leaks: {
      severity: level('leaks'),
      ...(given('leaks').rows !== undefined && { rows: rowsOf('leaks', 'default') }),
      rare: Number(given('leaks').rare ?? 5),
      minLength: Number(given('leaks').minLength ?? 8),
    },
    residual: { severity: level('residual'), share: Number(given('residual').share ?? 0) },
    drift: {
      severity: level('drift'),
      rows: rowsOf('drift', 2000),
      distance: Number(given('drift').distance ?? 0.3),
    },
    kAnonymity,
  };
}
