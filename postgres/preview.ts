import { type FailedValue, prepareTable } from '../anonymize/compile.js';
import type { JobKeys } from '../anonymize/keys.js';
import { LetheError } from '../errors/errors.js';
import { tableText } from '../plan/catalog.js';
import type { Branch, ColumnPlan, TablePlan } from '../plan/plan.js';
import { renderExpression } from './expressions.js';
import { quoteIdent, quoteTable } from './identifiers.js';
import { filterConditions, readParents } from './load/filter.js';
import { readKeyColumns } from './load/reads.js';
import { openSession, query, type Session, type SessionOptions } from './session.js';

/** One row before and after, for the terminal of whoever may see the source. Never send it anywhere. */
export interface PreviewRow {
  readonly columns: readonly PreviewValue[];
  /** The job copies it; else its `where` leaves it out. */
  readonly copied: boolean;
}

export interface PreviewValue {
  readonly column: string;
  readonly before: string | null;
  /** Undefined where the transformer refused the value. */
  readonly after: string | null | undefined;
  /** The rule that decided, with its condition. */
  readonly branch: Branch;
  /** The condition of `branch` was not true: `otherwise` was applied. */
  readonly otherwise: boolean;
  /** Why the value was refused. */
  readonly refused?: string;
}

export interface PreviewOptions {
  /** How to connect to the source. */
  readonly source: Omit<SessionOptions, 'role' | 'applicationName'>;
  readonly table: TablePlan;
  readonly keys: JobKeys;
  /** ISO 8601, UTC: what `:run_time` stands for. */
  readonly runTime: string;
  /** At most so many rows. */
  readonly limit: number;
  /** Only the row with this key: a text for each key column, compared by the source. It is not logged there. */
  readonly key?: readonly string[];
}

/**
 * Reads a few rows of the source and transforms them as a run would. Nothing is written.
 *
 * @throws LetheError `JobInvalid` when `key` does not fit the table's key.
 */
export async function previewRows(options: PreviewOptions): Promise<PreviewRow[]> {
  const { table, key } = options;
  const columns = table.key.kind === 'columns' ? table.key.columns : [];
  if (key && key.length !== columns.length) {
    const wanted = columns.length === 0 ? 'no key to find a row by' : `the key (${columns.join(', ')})`;
    throw new LetheError(
      'JobInvalid',
      `${tableText(table.source)} has ${wanted}, and ${key.length} value(s) were given.`,
    );
  }
  // The startup packet is in no statement log.
  const startup = Object.fromEntries((key ?? []).map((value, i) => [`lethe.key_${i}`, value]));
  const session = await openSession({
    ...options.source,
    role: 'source',
    applicationName: 'lethe:preview',
    startup,
  });
  try {
    return await transform(session, options);
  } finally {
    await session.close();
  }
}

async function transform(session: Session, options: PreviewOptions): Promise<PreviewRow[]> {
  const { table, keys } = options;
  const compiled = await prepareTable(
    { columns: table.columns, key: table.key.kind === 'columns' ? table.key.columns : [] },
    keys,
    table.columns.map(({ domain, compileType }) => ({ name: domain, type: compileType })),
  );
  const names = [...new Set([...table.columns.map(({ name }) => name), ...compiled.reads])];
  const rows = await read(session, options, names);
  const at = (name: string) => rows.map((row) => row.values[names.indexOf(name)] ?? null);
  const flags = (index: number) => Uint8Array.from(rows, (row) => (row.conditions[index] ? 1 : 0));
  const changed = compiled.transform({ size: rows.length, column: at, condition: flags });
  return rows.map((row, i) => ({
    copied: row.copied,
    columns: table.columns.map((column) => {
      const before = row.values[names.indexOf(column.name)] ?? null;
      const written = compiled.writes.indexOf(column.name);
      const failed = changed.failed.find((one: FailedValue) => one.row === i && one.column === column.name);
      const after = written < 0 ? before : (changed.columns[written]?.[i] ?? null);
      return {
        column: column.name,
        before,
        after: failed ? undefined : after,
        ...deciding(column, row.conditions),
        ...(failed && { refused: failed.reason }),
      };
    }),
  }));
}

function deciding(
  column: ColumnPlan,
  conditions: readonly boolean[],
): { branch: Branch; otherwise: boolean } {
  for (const branch of column.branches) {
    const holds = branch.when === undefined || conditions[branch.when] === true;
    if (holds || branch.otherwise) return { branch, otherwise: !holds };
  }
  throw new LetheError('Internal', `No rule decides column ${column.name}.`);
}

interface ReadRow {
  readonly values: readonly (string | null)[];
  readonly conditions: readonly boolean[];
  readonly copied: boolean;
}

async function read(session: Session, options: PreviewOptions, names: readonly string[]): Promise<ReadRow[]> {
  const { table, runTime, limit, key } = options;
  const parents = await readParents(session, table.semiJoins);
  const rows: ReadRow[] = [];
  for (const unit of table.units) {
    if (rows.length >= limit) break;
    const relation = quoteTable(unit);
    const filters = filterConditions(table, relation, runTime, parents);
    const copied = filters.length === 0 ? 'true' : `(${filters.join(' AND ')})`;
    const where = key ? await keyCondition(session, table) : copied;
    const select = [
      ...names.map((name, i) => `${quoteIdent(name)} AS v${i}`),
      ...table.conditions.map((condition, i) => `${renderExpression(condition, runTime)} IS TRUE AS c${i}`),
      `${copied} IS TRUE AS copied`,
    ];
    const found = await query(
      session,
      `SELECT ${select.join(', ')} FROM ONLY ${relation} WHERE ${where} LIMIT ${limit - rows.length}`,
    );
    rows.push(
      ...found.map((row) => ({
        values: names.map((_, i) => row[`v${i}`] ?? null),
        conditions: table.conditions.map((_, i) => row[`c${i}`] === 't'),
        copied: row.copied === 't',
      })),
    );
  }
  return rows;
}

/** Finds the row whose key stands in the session's settings `lethe.key_0`, `lethe.key_1`, …. */
export async function keyCondition(session: Session, table: TablePlan): Promise<string> {
  const columns = await readKeyColumns(session, table);
  return columns
    .map(
      ({ sql, type, ordering }, i) => `${sql} ${ordering.equal} current_setting('lethe.key_${i}')::${type}`,
    )
    .join(' AND ');
}
