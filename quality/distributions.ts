import type { ColumnType } from '../anonymize/transformer.js';
import type { ColumnPlan } from '../plan/plan.js';
import { quoteColumns, quoteIdent, wholeTable } from '../postgres/identifiers.js';
import { type AggregatedColumn, aggregate } from '../postgres/inspect/aggregates.js';
import type { InspectedTable } from '../postgres/inspect/sample.js';
import type { Stage } from '../postgres/inspect/stage.js';
import type { Source } from '../postgres/load/source.js';
import type { Session } from '../postgres/session.js';
import { columnDrift, driftScope } from './drift.js';
import type { Distribution } from './inspection.js';

const NUMBERS = new Set<ColumnType['kind']>(['int2', 'int4', 'int8', 'numeric', 'float']);
const TIMES = new Set<ColumnType['kind']>(['date', 'timestamp', 'timestamptz', 'time', 'interval']);
/** Values without a text worth counting, or as long as may be. */
const LEFT_OUT = new Set<ColumnType['kind']>(['bytea', 'other']);

/** Compares the columns of a table over the first rows of its sample, each with what it became. */
export async function distributionsOf(
  destination: Session,
  source: Source,
  { plan, sample }: InspectedTable,
  stage: Stage,
  rows: number,
): Promise<Distribution[]> {
  const columns = plan.columns.filter(({ type }) => !LEFT_OUT.has(type.kind));
  const most = Number.isFinite(rows) ? rows : undefined;
  const joined = stage.from(most);
  // Without a key nobody knows which row became which: only whole tables compare.
  if (joined === undefined && (!sample.whole || stage.rows > rows)) return [];
  const before = await aggregate(
    source.session,
    firstRows(
      sample.from,
      columns.map(({ name }) => name),
      most,
    ),
    columns.map((column) => aggregated(column, column.name)),
  );
  const names = columns.map((column) => `d.${quoteIdent(column.destination)}`).join(', ');
  const after = await aggregate(
    destination,
    `SELECT ${names} FROM ${joined ?? `${wholeTable(plan)} AS d`}`,
    columns.map((column) => aggregated(column, column.destination)),
  );
  return columns.flatMap((column): Distribution[] => {
    const [a, b] = [before.get(column.name), after.get(column.destination)];
    if (!a || !b) return [];
    const drift = columnDrift(a, b, driftScope(column));
    // Ends and means are made of values: only their distance goes on.
    const [{ range: _before, ...from }, { range: _after, ...to }] = [a, b];
    return [{ table: plan.id, column: column.destination, source: from, destination: to, drift }];
  });
}

function aggregated({ type }: ColumnPlan, name: string): AggregatedColumn {
  return { name, ordered: NUMBERS.has(type.kind) ? 'number' : TIMES.has(type.kind) ? 'time' : 'none' };
}

function firstRows(from: readonly string[], columns: readonly string[], rows: number | undefined): string {
  const parts = from.map((part) => `(SELECT ${quoteColumns(columns)} FROM ${part})`);
  const limit = rows === undefined ? '' : ` LIMIT ${rows}`;
  return `SELECT * FROM (${parts.join(' UNION ALL ')}) AS read${limit}`;
}
