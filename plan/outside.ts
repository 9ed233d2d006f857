import type { Job } from '../job/types.js';
import { type Catalog, tableText } from './catalog.js';
import type { Decisions } from './decide.js';
import type { Findings } from './findings.js';
import { destinationColumnOf, type TablePair } from './model.js';
import { type OutsideReference, outsideReferences } from './references.js';

/** Foreign keys, views and rules between tables of the job and others of the destination. */
export function judgeOutside(
  job: Job,
  tables: readonly TablePair[],
  source: Catalog,
  destination: Catalog,
  decisions: Decisions,
  findings: Findings,
): void {
  for (const reference of outsideReferences(tables, destination.tables)) {
    if (reference.direction === 'toOutside') judgeChild(reference, decisions, findings);
    else judgeParent(job, reference, decisions, findings);
  }
  for (const table of tables) {
    hintRows(table, findings);
    hintInheritance(table, tables, source, findings);
    if (table.destination.dependents.length === 0) continue;
    findings.note(
      'dependents',
      `${tableText(table.destination)} is used by ${table.destination.dependents.join(', ')}: they stay, and show the new rows`,
      { table: table.name },
    );
  }
}

/** The referencing column of a pair, or the referenced one, that is changed or nulled. */
function changedColumn(
  table: TablePair,
  columns: readonly string[],
  decisions: Decisions,
  kind: 'changed' | 'nulled',
) {
  return columns.find((name) => {
    const column = destinationColumnOf(table, name);
    return column !== undefined && decisions.of.get(column.key)?.effect.kind === kind;
  });
}

function judgeChild(
  { table, key, outside }: OutsideReference,
  decisions: Decisions,
  findings: Findings,
): void {
  const place = { table: table.name };
  if (changedColumn(table, key.columns, decisions, 'nulled') !== undefined && !key.matchFull) return;
  const changed = changedColumn(table, key.columns, decisions, 'changed');
  const label = `foreign key ${key.name} of ${tableText(table.destination)} references ${tableText(outside)}, which is not in the job`;
  if (outside.empty) {
    findings.refuse(
      'outside-parent',
      `${label} and is empty in the destination: include that table, fill it, or null ${key.columns.join(', ')}`,
      { ...place, column: key.columns[0] },
    );
    return;
  }
  if (changed === undefined) {
    findings.warn('outside-parent', `${label}: rows whose parent is not there go to quarantine`, place);
    return;
  }
  findings.refuse(
    'outside-parent',
    `${label}, and ${table.name}.${changed} is changed, so that its values are not there: include that table, keep ${changed}, or null it`,
    { ...place, column: changed },
  );
}

function judgeParent(job: Job, reference: OutsideReference, decisions: Decisions, findings: Findings): void {
  const { table, key, outside } = reference;
  const place = { table: table.name };
  const label = `${tableText(outside)} is not in the job and references ${tableText(table.destination)} (${key.name})`;
  if (outside.empty) {
    findings.note('outside-child', `${label}; it is empty`, place);
    return;
  }
  const changed =
    changedColumn(table, key.referencedColumns, decisions, 'changed') ??
    changedColumn(table, key.referencedColumns, decisions, 'nulled');
  if (changed !== undefined) {
    findings.refuse(
      'outside-child',
      `${label}, and ${table.name}.${changed} is changed, so that its rows would lose their parents: include it, empty it, or keep ${changed}`,
      { ...place, column: changed },
    );
    return;
  }
  if (job.destination.mode === 'upsert') return;
  findings.warn(
    'outside-child',
    `${label}: the foreign key is taken away while ${table.name} is loaded and checked again afterwards; the run fails if its rows have lost their parents`,
    place,
  );
}

/** A query of an inherited table shows its children's rows too; a job copies each table for itself. */
function hintInheritance(
  table: TablePair,
  tables: readonly TablePair[],
  source: Catalog,
  findings: Findings,
): void {
  const missing = source.tables
    .filter((child) => child.inherits.some((parent) => tableText(parent) === table.name))
    .map(tableText)
    .filter((child) => !tables.some((other) => other.name === child));
  if (missing.length === 0) return;
  findings.warn(
    'inheritance',
    `${table.name} is inherited by ${missing.join(', ')}, not in the job: their rows, which a query of ${table.name} shows, are not copied`,
    { table: table.name },
  );
}

/** What the roles at both ends need to see and write all rows. */
function hintRows(table: TablePair, findings: Findings): void {
  const place = { table: table.name };
  if (table.source.rowSecurity !== 'off') {
    findings.warn(
      'row-security',
      `${table.name} has row-level security: the source's role must ${table.source.rowSecurity === 'forced' ? 'have BYPASSRLS' : `own it (${table.source.owner}) or have BYPASSRLS`}, else reading is refused rather than incomplete`,
      place,
    );
  }
  if (table.destination.rowSecurity === 'forced') {
    findings.warn(
      'row-security',
      `${tableText(table.destination)} forces row-level security: the destination's role needs BYPASSRLS`,
      place,
    );
  }
}
