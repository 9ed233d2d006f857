import { didYouMean } from '../job/nearest.js';
import type { Job } from '../job/types.js';
import { tableText } from './catalog.js';
import type { Decisions } from './decide.js';
import type { Findings } from './findings.js';
import { columnOf, type TablePair } from './model.js';

/** `upsert` across the whole job. */
export function judgeUpsert(job: Job, findings: Findings): void {
  if (job.destination.mode !== 'upsert') return;
  if (job.consistency === 'run') {
    findings.refuse(
      'upsert-consistency',
      'upsert finds rows by their keys of the run before, which `consistency: run` makes unlinkable: use `consistency: job`, or `mode: replace`',
    );
  }
  if (!job.destination.deleteMissing) {
    findings.note(
      'upsert-deletions',
      'rows that are deleted in the source stay in the destination; `deleteMissing: true` removes them',
    );
  }
}

/** The columns by which `upsert` finds a row: kept or injectively changed, unique in the destination. */
export function chooseConflictKey(
  table: TablePair,
  decisions: Decisions,
  findings: Findings,
): string[] | undefined {
  const place = { table: table.name, position: table.rules?.position };
  const where = tableText(table.destination);
  const primary = table.destination.indexes
    .find((index) => index.primary)
    ?.columns.filter((name) => name !== null);
  const key = table.rules?.conflictKey ?? primary;
  if (!key || key.length === 0) {
    findings.refuse(
      'upsert-key',
      `${where} has no primary key, so upsert cannot find its rows: name unique columns as \`conflictKey\` under \`tables\` → ${table.name}`,
      place,
    );
    return undefined;
  }
  for (const name of key) judgeKeyColumn(table, name, decisions, findings);
  const covered = table.destination.indexes.some(
    (index) =>
      index.unique &&
      index.valid &&
      !index.exclusion &&
      index.predicate === undefined &&
      index.constraint?.deferrable !== true &&
      index.columns.length === key.length &&
      index.columns.every((name) => name !== null && key.includes(name)),
  );
  if (!covered) {
    findings.refuse(
      'upsert-key',
      `the conflict key (${key.join(', ')}) of ${where} has no unique index of just these columns that is neither partial nor deferrable: create one there, or choose another \`conflictKey\``,
      place,
    );
  }
  judgeUpdates(table, key, findings);
  return [...key];
}

function judgeKeyColumn(table: TablePair, name: string, decisions: Decisions, findings: Findings): void {
  const place = { table: table.name, column: name, position: table.rules?.position };
  const column = columnOf(table, name);
  if (!column) {
    const near = didYouMean(
      name,
      table.columns.map((candidate) => candidate.source.name),
    );
    findings.refuse(
      'upsert-key',
      `${table.name} has no column ${name} that is copied${near}: correct its \`conflictKey\``,
      place,
    );
    return;
  }
  const effect = decisions.of.get(column.key)?.effect;
  const total = effect?.kind === 'kept' || effect?.proof?.total === true;
  if (effect && (effect.unique === 'no' || !total)) {
    findings.refuse(
      'upsert-key',
      `${column.key} is in the conflict key and does not keep its rows apart: ${effect.why}. Keep it or permute it`,
      place,
    );
  }
}

function judgeUpdates(table: TablePair, key: readonly string[], findings: Findings): void {
  const where = tableText(table.destination);
  const [rule] = table.destination.rules;
  if (rule) {
    findings.refuse(
      'upsert-rule',
      `${where} has the rule ${rule.name}, and INSERT … ON CONFLICT is not possible on a table with rules: drop it there, or use \`mode: replace\``,
      {
        table: table.name,
      },
    );
  }
  for (const { source, destination, key: name } of table.columns) {
    if (destination.identity !== 'always' || key.includes(source.name)) continue;
    findings.refuse(
      'upsert-identity',
      `${name} is GENERATED ALWAYS AS IDENTITY in the destination and cannot be updated: make it BY DEFAULT there, or take it as the \`conflictKey\``,
      { table: table.name, column: source.name },
    );
  }
}
