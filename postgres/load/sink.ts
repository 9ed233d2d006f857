import type { TablePlan } from '../../plan/plan.js';
import { type CopyIn, copyIn } from '../copy/in.js';
import { quoteColumns, quoteIdent, quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** Where rows of a table go, in the form of `RowShape.into`. */
export interface RowSink {
  /** Starts taking rows. */
  open(): CopyIn;
  /** After rows were taken: what else makes them part of the table. */
  settle(): Promise<void>;
}

/** `replace`: straight into the table; through the root of a partitioned one. */
export function copySink(destination: Session, plan: TablePlan, into: readonly string[]): RowSink {
  // A table may have no columns; an empty list of them is no SQL.
  const columns = into.length > 0 ? ` (${quoteColumns(into)})` : '';
  const target = `${quoteTable(plan.destination)}${columns}`;
  return {
    open: () => copyIn(destination, `COPY ${target} FROM STDIN`),
    settle: async () => undefined,
  };
}

/**
 * `upsert`: into a temporary table, then into the table by its conflict key; rows that are equal already are not
 * touched. With `deleteMissing` the keys are remembered.
 */
export async function upsertSink(
  destination: Session,
  plan: TablePlan,
  into: readonly string[],
  keep: string | undefined,
): Promise<RowSink> {
  const target = quoteTable(plan.destination);
  const stage = `lethe_rows_${plan.id}`;
  await query(
    destination,
    `CREATE TEMP TABLE IF NOT EXISTS ${stage} ON COMMIT DELETE ROWS AS SELECT ${quoteColumns(into)} FROM ${target} WITH NO DATA`,
  );
  const key = conflictColumns(plan);
  const set = into.filter((name) => !key.includes(name));
  const upsert = `INSERT INTO ${target} AS lethe_target (${quoteColumns(into)}) OVERRIDING SYSTEM VALUE
    SELECT ${quoteColumns(into)} FROM pg_temp.${stage} ON CONFLICT (${quoteColumns(key)}) ${onConflict(set)}`;
  return {
    open: () => copyIn(destination, `COPY pg_temp.${stage} (${quoteColumns(into)}) FROM STDIN`),
    async settle() {
      await query(destination, upsert);
      if (keep)
        await query(destination, `INSERT INTO ${keep} SELECT ${quoteColumns(key)} FROM pg_temp.${stage}`);
      await query(destination, `TRUNCATE pg_temp.${stage}`);
    },
  };
}

/** The conflict key as the destination names it. */
export function conflictColumns(plan: TablePlan): string[] {
  const names = new Map(plan.columns.map(({ name, destination }) => [name, destination]));
  return (plan.conflictKey ?? []).map((name) => names.get(name) ?? name);
}

/** `*<>` compares the stored bytes, so it needs no equality operator, which json and others lack. Cast, or it would mean column by column. */
function onConflict(set: readonly string[]): string {
  if (set.length === 0) return 'DO NOTHING';
  const row = (of: string) => `ROW(${set.map((name) => `${of}.${quoteIdent(name)}`).join(', ')})::record`;
  const changes = set.map((name) => `${quoteIdent(name)} = excluded.${quoteIdent(name)}`);
  return `DO UPDATE SET ${changes.join(', ')} WHERE ${row('lethe_target')} OPERATOR(pg_catalog.*<>) ${row('excluded')}`;
}
