import { tableFilter } from '../job/globs.js';
import { didYouMean } from '../job/nearest.js';
import type { Job } from '../job/types.js';
import { type Catalog, type CatalogTable, tableText } from './catalog.js';
import { pairColumns } from './columns.js';
import type { Findings } from './findings.js';
import { byBytes } from './json.js';
import type { TablePair } from './model.js';

const SYSTEM_SCHEMA = /^(pg_catalog|information_schema|pg_toast.*|pg_temp.*|lethe)$/;

/** The tables of the job, each with its counterpart, in byte order of their names. */
export function pairTables(job: Job, source: Catalog, destination: Catalog, findings: Findings): TablePair[] {
  checkNames(job, source, findings);
  const wanted = tableFilter(job.include, job.exclude);
  const chosen = source.tables
    .filter((table) => !SYSTEM_SCHEMA.test(table.schema))
    .filter((table) => wanted(tableText(table)) && job.tables[tableText(table)]?.skip !== true)
    .sort((a, b) => byBytes(tableText(a), tableText(b)));
  if (chosen.length === 0) {
    findings.refuse(
      'no-tables',
      `no table of ${source.database.name} is in the job: \`include\` matches none of its ${source.tables.length} tables, or all are excluded or skipped. Correct \`include\`, or check that the source's URL names the right database`,
    );
  }
  const taken = new Map<string, string>();
  const pairs: TablePair[] = [];
  for (const table of chosen) {
    const counterpart = findCounterpart(table, job, destination, findings);
    if (!counterpart) continue;
    const name = tableText(table);
    const other = taken.get(tableText(counterpart));
    if (other !== undefined) {
      findings.refuse(
        'shared-destination',
        `${other} and ${name} would both be written to ${tableText(counterpart)}: rename or skip one of them`,
        { table: name, position: job.tables[name]?.position },
      );
      continue;
    }
    taken.set(tableText(counterpart), name);
    if (table.leaves.some((leaf) => leaf.foreign === true)) {
      findings.refuse(
        'foreign-leaf',
        `${name} has partitions that are foreign tables: their rows lie outside the source's snapshot. Skip the table, or copy from the database that holds them`,
        { table: name },
      );
    }
    pairs.push({
      id: pairs.length + 1,
      name,
      source: table,
      destination: counterpart,
      ...(job.tables[name] && { rules: job.tables[name] }),
      columns: pairColumns(table, counterpart, findings),
    });
  }
  return pairs;
}

function checkNames(job: Job, source: Catalog, findings: Findings): void {
  const names = source.tables.map(tableText);
  const byName = new Map(source.tables.map((table) => [tableText(table), table]));
  const wanted = tableFilter(job.include, job.exclude);
  for (const [name, rules] of Object.entries(job.tables)) {
    const table = byName.get(name);
    if (!table) {
      findings.refuse('missing-table', `${name} is not in the source${didYouMean(name, names)}`, {
        table: name,
        position: rules.position,
      });
      continue;
    }
    if (rules.skip !== true && !wanted(name)) {
      findings.warn('not-included', `${name} has rules but is not included: they do nothing`, {
        table: name,
        position: rules.position,
      });
    }
    const columns = table.columns.map((column) => column.name);
    for (const [column, rule] of Object.entries(rules.columns)) {
      if (columns.includes(column)) continue;
      findings.refuse('missing-column', `${name} has no column ${column}${didYouMean(column, columns)}`, {
        table: name,
        column,
        position: rule.position,
      });
    }
  }
  const schemas = new Set(source.tables.map((table) => table.schema));
  for (const schema of Object.keys(job.destination.schemas)) {
    if (schemas.has(schema)) continue;
    findings.refuse(
      'missing-schema',
      `\`destination.schemas\` names ${schema}, which has no table in the source${didYouMean(schema, [...schemas])}`,
    );
  }
}

function findCounterpart(
  table: CatalogTable,
  job: Job,
  destination: Catalog,
  findings: Findings,
): CatalogTable | undefined {
  const name = tableText(table);
  const rules = job.tables[name];
  const wanted = rules?.rename ?? `${job.destination.schemas[table.schema] ?? table.schema}.${table.name}`;
  const counterpart = destination.tables.find((candidate) => tableText(candidate) === wanted);
  if (counterpart) return counterpart;
  const near = didYouMean(wanted, destination.tables.map(tableText));
  findings.refuse(
    'missing-destination',
    `${name} has no table ${wanted} in the destination${near}: create it there, set \`destination.createSchema: true\`, or skip ${name}`,
    { table: name, position: rules?.position },
  );
  return undefined;
}
