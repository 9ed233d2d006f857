import type { CheckSettings } from '../job/types.js';
import type { DocumentFacts, ReferenceFacts } from '../mongo/validate.js';
import { tableText } from '../plan/catalog.js';
import { findTransformer } from '../plan/effects.js';
import type { ColumnPlan, Plan, TablePlan } from '../plan/plan.js';
import { type Check, orAll } from './checks.js';
import { judgeLeaks } from './leaks.js';

/** The checks of a finished run over MongoDB, from its facts. */
export function judgeDocuments(plan: Plan, settings: CheckSettings, facts: DocumentFacts): Check[] {
  const tables = plan.tables.map((table) => ({
    table,
    name: tableText(table.destination),
    facts: facts.collections.find((found) => found.table === table.id)!,
  }));
  const failed = (name: Check['name'], table: string, message: string): Check => ({
    name,
    ok: false,
    table,
    message,
  });
  const owners = tables.flatMap(({ name, facts: { owned } }) =>
    owned
      ? []
      : [failed('owner', name, `${name} was taken over by a later run: what it holds is not this run's.`)],
  );
  const complete = tables.flatMap(({ name, facts: { unfinished } }) =>
    unfinished === 0
      ? []
      : [
          failed(
            'complete',
            name,
            `${name} has ${unfinished} partitions or batches that are not finished. Start the run again.`,
          ),
        ],
  );
  const rows = tables.flatMap(({ name, facts: { found, written } }) => {
    const exact = plan.mode === 'replace';
    if (exact ? found === written : found >= written) return [];
    const message = `${name} holds ${found} documents, the ledger says ${exact ? '' : 'at least '}${written}. Somebody else wrote it; run again with the destination to yourself.`;
    return [failed('rows', name, message)];
  });
  const total = tables.reduce((sum, one) => sum + one.facts.found, 0);
  const severity = (level: 'fail' | 'warn' | 'off') => (level === 'off' ? 'warn' : level);
  return [
    ...orAll(owners, { name: 'owner', ok: true, message: 'Every collection still belongs to this run.' }),
    ...orAll(complete, { name: 'complete', ok: true, message: 'Every batch is committed.' }),
    ...orAll(rows, {
      name: 'rows',
      ok: true,
      message: `${total} documents in ${tables.length} collections, ${plan.mode === 'replace' ? 'as many as' : 'all that'} the ledger says.`,
    }).map((check) => ({ ...check, severity: settings.rowCounts.severity })),
    ...judgeReferences(plan, facts.references).map((check) => ({
      ...check,
      severity: settings.constraints.severity,
    })),
    ...(settings.leaks.severity === 'off'
      ? []
      : leakChecks(tables).map((check) => ({ ...check, severity: severity(settings.leaks.severity) }))),
    ...judgeAgain(tables, settings),
  ];
}

interface Judged {
  readonly table: TablePlan;
  readonly name: string;
  readonly facts: DocumentFacts['collections'][number];
}

function judgeReferences(plan: Plan, references: readonly ReferenceFacts[]): Check[] {
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.source)]));
  let seen = 0;
  let before = 0;
  const failures = references.flatMap(({ reference: { from, to }, destination, source }): Check[] => {
    seen += destination.seen;
    if (destination.dangling === 0) return [];
    before += source?.dangling ?? 0;
    if (destination.dangling <= (source?.dangling ?? 0)) return [];
    return [
      {
        name: 'constraints',
        ok: false,
        table: names.get(from.table)!,
        column: from.path,
        message: `${destination.dangling} of ${destination.seen} references from ${names.get(from.table)}.${from.path} to ${names.get(to.table)}.${to.path} lead nowhere (at the source: ${source?.dangling ?? 0}). Check that both paths have one type and that the parents are copied.`,
      },
    ];
  });
  if (references.length === 0) return [];
  return orAll(failures, {
    name: 'constraints',
    ok: true,
    message: `${seen} references were followed, ${before === 0 ? 'all of them lead to a document' : `${before} lead nowhere, as they do at the source`}.`,
  });
}

function leakChecks(tables: readonly Judged[]): Check[] {
  const failures: Check[] = [];
  let chance = 0;
  for (const { table, name, facts } of tables) {
    for (const [path, leaks] of Object.entries(facts.leaks)) {
      const column = plainColumn(table, path);
      if (leaks === 0 || !column) continue;
      // A path may stand for several values of one document.
      if (judgeLeaks(column, leaks, Math.max(facts.written, leaks)).ok) chance += leaks;
      else
        failures.push({
          name: 'leaks',
          ok: false,
          table: name,
          column: path,
          message: `${leaks} values of ${name}.${path} came out as they went in. Choose another transformer for it.`,
        });
    }
  }
  const message =
    chance === 0
      ? 'No transformed value equals its own input.'
      : `No transformed value equals its own input but by chance (${chance}).`;
  return orAll(failures, { name: 'leaks', ok: true, message });
}

/** A path as a column whose branches are transformers alone. */
function plainColumn(table: TablePlan, path: string): ColumnPlan | undefined {
  const rule = table.collection?.rules.fields.find((field) => field.path === path);
  const column = table.columns.find(({ name }) => name === path);
  if (!rule || !column) return undefined;
  const specs = [rule.apply, ...Object.values(rule.types ?? {})].filter(
    ({ name }) => findTransformer(name) !== undefined,
  );
  const compileType = { ...column.compileType, kind: 'text' } as const;
  return { ...column, compileType, branches: specs.map((apply) => ({ rule: rule.rule, apply })) };
}

function judgeAgain(tables: readonly Judged[], { recompute }: CheckSettings): Check[] {
  if (recompute.severity === 'off') return [];
  const seen = tables.reduce((sum, { facts }) => sum + facts.again.seen, 0);
  const opened = tables.reduce((sum, { facts }) => sum + facts.again.opened, 0);
  const failures = tables.flatMap(({ name, facts: { again } }): Check[] =>
    again.different === 0
      ? []
      : [
          {
            name: 'recompute',
            ok: false,
            // Documents may have changed at the source since they were read: there is no snapshot.
            severity: again.different * 2 > again.seen ? (recompute.severity as 'fail' | 'warn') : 'warn',
            table: name,
            message: `${again.different} of ${again.seen} documents of ${name} are not what their source becomes now: they have changed at the source since, or somebody wrote the copy.`,
          },
        ],
  );
  return orAll(failures, {
    name: 'recompute',
    ok: true,
    message: `${seen} documents were transformed again and are there, byte for byte${opened > 0 ? ' but for sealed fields, whose tokens hold what they should' : ''}.`,
  });
}
