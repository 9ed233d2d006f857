import { tableText } from '../plan/catalog.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import type { RunFacts, TableFacts } from '../postgres/validate.js';
import { type Check, orAll } from './checks.js';
import { judgeLeaks } from './leaks.js';

/** The checks of a finished run, from its facts. A check that holds everywhere is one entry, each failure one more. */
export function judgeRun(plan: Pick<Plan, 'mode' | 'tables'>, facts: RunFacts): Check[] {
  // With a row in quarantine anywhere, no deletion was followed.
  const followed = facts.tables.every(({ quarantined }) => quarantined === 0);
  const tables = plan.tables.map((table) => ({
    table,
    name: tableText(table.destination),
    facts: facts.tables.find((found) => found.table === table.id)!,
  }));
  return [
    ...orAll(
      tables.flatMap(({ facts: found, name }) => checkOwner(found, name)),
      { name: 'owner', ok: true, message: 'Every table still belongs to this run.' },
    ),
    ...orAll(
      tables.flatMap(({ facts: found, name }) => checkComplete(found, name)),
      { name: 'complete', ok: true, message: 'Every batch is committed.' },
    ),
    ...orAll(
      tables.flatMap(({ table, facts: found, name }) =>
        checkRows(plan, table.deleteMissing && followed, found, name),
      ),
      { name: 'rows', ok: true, message: rowsMessage(plan, facts) },
    ),
    ...checkConstraints(facts),
    ...checkLeaks(tables),
  ];
}

function checkOwner({ owned }: TableFacts, table: string): Check[] {
  if (owned) return [];
  const message = `${table} was taken over by a later run: what it holds is not this run's.`;
  return [{ name: 'owner', ok: false, table, message }];
}

function checkComplete({ unfinished }: TableFacts, table: string): Check[] {
  if (unfinished === 0) return [];
  const message = `${table} has ${unfinished} partitions or batches that are not finished. Start the run again.`;
  return [{ name: 'complete', ok: false, table, message }];
}

function checkRows(
  { mode }: Pick<Plan, 'mode'>,
  deleted: boolean,
  { written, removed, found }: TableFacts,
  table: string,
): Check[] {
  // An `upsert` shares its table with rows that are not Lethe's, unless it deletes those.
  const exact = mode === 'replace' || deleted;
  const expected = written - removed;
  if (exact ? found === expected : found >= expected) return [];
  const message = `${table} holds ${found} rows, the ledger says ${exact ? '' : 'at least '}${expected}. Somebody else wrote it, or a trigger did; run again with the destination to yourself.`;
  return [{ name: 'rows', ok: false, table, message }];
}

function rowsMessage({ mode }: Pick<Plan, 'mode'>, { tables }: RunFacts): string {
  const total = tables.reduce((sum, { found }) => sum + found, 0);
  return mode === 'replace'
    ? `${total} rows in ${tables.length} tables, as many as the ledger says.`
    : `${total} rows in ${tables.length} tables, all that the ledger says among them.`;
}

function checkConstraints({ away, owed, broken, taken }: RunFacts): Check[] {
  const failures: Check[] = [
    ...away.map((name) => fail(`${name} was taken away and is not back. Run \`lethe restore\`.`)),
    ...owed.map((name) =>
      fail(`${name} is not valid: rows violate it, more than the job lets go to quarantine.`),
    ),
    ...broken.map((name) => fail(`${name} was put back, and somebody has dropped or disabled it since.`)),
  ];
  return orAll(failures, {
    name: 'constraints',
    ok: true,
    message: `All ${taken} constraints, indexes, triggers and rules that were taken away are back and valid.`,
  });
}

function fail(message: string): Check {
  return { name: 'constraints', ok: false, message };
}

function checkLeaks(tables: readonly { table: TablePlan; name: string; facts: TableFacts }[]): Check[] {
  const failures: Check[] = [];
  let chance = 0;
  let expected = 0;
  for (const { table, name, facts } of tables) {
    for (const [columnName, leaks] of Object.entries(facts.leaks)) {
      const column = table.columns.find((candidate) => candidate.name === columnName);
      if (!column || leaks === 0) continue;
      const verdict = judgeLeaks(column, leaks, facts.written);
      if (verdict.ok) {
        chance += leaks;
        expected += verdict.expected;
        continue;
      }
      failures.push({
        name: 'leaks',
        ok: false,
        table: name,
        message: `${leaks} of ${facts.written} values of ${name}.${column.destination} came out as they went in${verdict.expected > 0 ? ` (chance alone: ${verdict.expected.toPrecision(2)})` : ''}. Choose another transformer for it.`,
      });
    }
  }
  const message =
    chance === 0
      ? 'No transformed value equals its own input.'
      : `No transformed value equals its own input but by chance: ${chance} did, ${expected.toPrecision(2)} were to be expected.`;
  return orAll(failures, { name: 'leaks', ok: true, message });
}
