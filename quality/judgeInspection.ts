import type { CheckSettings, Severity } from '../job/types.js';
import { type TableName, tableText } from '../plan/catalog.js';
import type { Plan } from '../plan/plan.js';
import type { RunFacts } from '../postgres/validate.js';
import { type Check, orAll } from './checks.js';
import type { Inspection, Recomputed } from './inspection.js';
import { judgeSealed } from './judgeSealed.js';
import type { PersonalKind } from './residual.js';

/** The checks that look at rows, from what was found. Those that the job switched off are left out. */
export function judgeInspection(
  plan: Pick<Plan, 'tables'>,
  settings: CheckSettings,
  facts: Pick<RunFacts, 'tables' | 'away' | 'owed' | 'broken'>,
  inspection: Inspection,
): Check[] {
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.destination)]));
  const name = (id: number) => names.get(id) ?? String(id);
  return [
    ...judgeConstraints(settings.constraints.severity, facts, inspection),
    ...judgeRecomputed(settings.recompute.severity, facts, inspection, name),
    ...judgeLeakScan(settings.leaks.severity, inspection, [...names.values()]),
    ...judgeSealed(settings.leaks.severity, inspection, name),
    ...judgeResidual(settings.residual, inspection, name),
    ...judgeDrift(settings.drift, inspection, name),
    ...judgeGroups(settings, inspection),
  ];
}

function judgeConstraints(
  severity: Severity,
  { away, owed, broken }: Pick<RunFacts, 'away' | 'owed' | 'broken'>,
  { constraints, orphans }: Inspection,
): Check[] {
  const told = new Set([...away, ...owed, ...broken]);
  const object = (table: TableName, name: string) => `${tableText(table)}.${name}`;
  // The run did not take it away, so it was so before.
  const before = constraints.invalid
    .filter(({ table, object: name }) => !told.has(object(table, name)))
    .map(
      ({ table, object: name, why }): Check => ({
        name: 'constraints',
        ok: false,
        severity: 'warn',
        table: tableText(table),
        message: `${object(table, name)} is ${why === 'its trigger is disabled' ? 'not looked after (its trigger is disabled)' : why}, as it was before the run.`,
      }),
    );
  const lost = orphans
    .filter(({ orphans: count }) => count > 0)
    .map(
      ({ table, object: name, looked, orphans: count }): Check => ({
        name: 'constraints',
        ok: false,
        severity,
        table: tableText(table),
        observed: count,
        expected: 0,
        message: `${count} of ${looked} rows of ${tableText(table)} have no parent, though ${name} says that they do: it was bypassed. Run again with the destination to yourself.`,
      }),
    );
  const looked = orphans.reduce((sum, one) => sum + one.looked, 0);
  return orAll([...lost, ...before], {
    name: 'constraints',
    ok: true,
    observed: constraints.checked,
    message: `All ${constraints.checked} constraints are valid, and ${looked} rows that were looked up have their parents.`,
  });
}

function judgeRecomputed(
  severity: Severity | 'off',
  { tables }: Pick<RunFacts, 'tables'>,
  { recomputed, unread }: Inspection,
  name: (id: number) => string,
): Check[] {
  if (severity === 'off') return [];
  if (unread) return [unreadCheck('recompute', unread)];
  const refused = new Map(tables.map(({ table, quarantined }) => [table, quarantined]));
  const problems = recomputed.flatMap((one) =>
    recomputedProblem(one, refused.get(one.table) ?? 0, severity, name(one.table)),
  );
  const rows = recomputed.reduce((sum, one) => sum + one.rows, 0);
  const changed = recomputed.reduce((sum, one) => sum + one.changed, 0);
  return orAll(problems, {
    name: 'recompute',
    ok: true,
    observed: rows,
    details: { changed },
    message: `${rows} rows were read and transformed again, and are in the destination as they must be.${changed > 0 ? ` ${changed} more have changed at the source since the run and were not compared.` : ''}`,
  });
}

function recomputedProblem(
  { rows, missing, differing, unsteady }: Recomputed,
  quarantined: number,
  severity: Severity,
  table: string,
): Check[] {
  const columns = Object.entries(differing);
  const lost = Math.max(0, missing - quarantined);
  if (lost === 0 && columns.length === 0) return [];
  const parts = [
    ...(lost > 0 ? [`${lost} are not in the destination`] : []),
    ...columns.map(([column, count]) => `${count} differ in ${column}`),
  ];
  const why = unsteady
    ? 'The source was read in another state than the run read: they may have changed in between. Run again to be sure.'
    : 'Somebody else wrote the destination, or a worker transforms otherwise. Run again with the destination to yourself.';
  return [
    {
      name: 'recompute',
      ok: false,
      severity: unsteady ? 'warn' : severity,
      table,
      observed: lost + Math.max(0, ...columns.map(([, count]) => count)),
      expected: 0,
      details: {
        rows,
        missing: lost,
        ...Object.fromEntries(columns.map(([column, count]) => [`differing ${column}`, count])),
      },
      message: `Of ${rows} rows of ${table} that were read and transformed again, ${parts.join(', ')}. ${why}`,
    },
  ];
}

export function judgeLeakScan(
  severity: Severity | 'off',
  { leaks, unread }: Pick<Inspection, 'leaks' | 'unread'>,
  tables: readonly string[],
): Check[] {
  if (severity === 'off') return [];
  if (unread) return [unreadCheck('leak-scan', unread)];
  if (!leaks) return [];
  const { chance, searched, overflow } = leaks;
  const numbers = {
    values: searched.values,
    texts: searched.texts,
    chance: chance.observed,
    chanceExpected: chance.expected,
  };
  const atLeast = overflow ? 'at least ' : '';
  const failures = leaks.leaks.map(({ from, to, hits }): Check => {
    const [table, column] = splitPlace(to, tables);
    return {
      name: 'leak-scan',
      ok: false,
      severity,
      table,
      column,
      observed: hits,
      expected: 0,
      details: numbers,
      message: `${atLeast}${hits} values of ${to} in the destination hold one of ${from} in the source, which identifies. Decide that column (\`lethe plan\` shows how it is decided now), then run again.`,
    };
  });
  const byChance =
    chance.observed === 0
      ? ''
      : ` Made-up ones met ${chance.observed} times, ${chance.expected.toPrecision(2)} were to be expected by chance.`;
  return orAll(failures, {
    name: 'leak-scan',
    ok: true,
    observed: 0,
    expected: 0,
    details: numbers,
    message: `None of ${searched.values} identifying values of the source was found in ${searched.texts} texts of the destination.${byChance}`,
  });
}

/** `schema.table.column`: names may hold dots, and so do paths into documents. */
function splitPlace(place: string, tables: readonly string[]): [table: string, column: string] {
  const own = tables.filter((table) => place.startsWith(`${table}.`)).sort((a, b) => b.length - a.length);
  const at = own[0]?.length ?? place.lastIndexOf('.');
  return [place.slice(0, at), place.slice(at + 1)];
}

const KINDS: Readonly<Record<PersonalKind, string>> = {
  email: 'e-mail addresses',
  phone: 'phone numbers',
  card: 'card numbers',
  iban: 'account numbers (IBAN)',
  ip: 'IP addresses',
};

export function judgeResidual(
  { severity, share }: CheckSettings['residual'],
  { residual, unread }: Pick<Inspection, 'residual' | 'unread'>,
  name: (id: number) => string,
): Check[] {
  if (severity === 'off') return [];
  if (unread) return [unreadCheck('residual', unread)];
  const found = residual.flatMap(({ table, column, looked, found: kinds }) =>
    (Object.entries(kinds) as [PersonalKind, number][])
      .filter(([, count]) => count > share * looked)
      .map(
        ([kind, count]): Check => ({
          name: 'residual',
          ok: false,
          severity,
          table: name(table),
          column,
          observed: count,
          expected: Math.floor(share * looked),
          details: { looked },
          message: `${count} of ${looked} values of ${name(table)}.${column}, which is kept, look like ${KINDS[kind]}. Give it a transformer, or allow them: checks: { residual: { share: … } }.`,
        }),
      ),
  );
  return orAll(found, {
    name: 'residual',
    ok: true,
    observed: residual.length,
    message: `Nothing in ${residual.length} kept text columns looks like personal data.`,
  });
}

export function judgeDrift(
  { severity, distance }: CheckSettings['drift'],
  { distributions, unread }: Pick<Inspection, 'distributions' | 'unread'>,
  name: (id: number) => string,
): Check[] {
  if (severity === 'off') return [];
  if (unread) return [unreadCheck('drift', unread)];
  const far = distributions
    .filter(({ drift }) => drift.distance > distance)
    .map(
      ({ table, column, drift }): Check => ({
        name: 'drift',
        ok: false,
        severity,
        table: name(table),
        column,
        observed: drift.distance,
        expected: distance,
        details: { ...drift, range: drift.range ?? 0 },
        message: `${name(table)}.${column} is distributed otherwise than in the source: distance ${drift.distance.toFixed(2)}, ${distance} is allowed.`,
      }),
    );
  return orAll(far, {
    name: 'drift',
    ok: true,
    observed: Math.max(0, ...distributions.map(({ drift }) => drift.distance)),
    expected: distance,
    message: `${distributions.length} columns are distributed as in the source, up to a distance of ${distance}.`,
  });
}

export function judgeGroups({ kAnonymity }: CheckSettings, { groups }: Pick<Inspection, 'groups'>): Check[] {
  return kAnonymity.map(({ table, columns, k, severity }, at): Check => {
    const found = groups.find(({ check }) => check === at);
    const what = `${table} (${columns.join(', ')})`;
    const base = { name: 'k-anonymity', severity, table, expected: k } as const;
    if (!found) {
      return {
        ...base,
        ok: false,
        message: `${what} cannot be counted: the job does not copy all of these columns.`,
      };
    }
    const details = { rows: found.rows, groups: found.groups };
    return found.rows === 0
      ? {
          ...base,
          ok: true,
          observed: found.smallest,
          details,
          message: `Every row of ${what} is like at least ${k - 1} others.`,
        }
      : {
          ...base,
          ok: false,
          observed: found.smallest,
          details,
          message: `${found.rows} rows of ${what} are like fewer than ${k - 1} others, in ${found.groups} groups; the smallest has ${found.smallest}. Coarsen these columns (dateTruncate, range, mask), or leave rows out.`,
        };
  });
}

function unreadCheck(name: Check['name'], why: string): Check {
  return { name, ok: false, severity: 'warn', message: `Not looked at (${name}): ${why}.` };
}
