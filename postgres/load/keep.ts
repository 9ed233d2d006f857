import { createHash } from 'node:crypto';
import type { TablePlan } from '../../plan/plan.js';
import { quoteColumns, quoteIdent, quoteTable } from '../identifiers.js';
import { execute, query, type Session } from '../session.js';
import { conflictColumns } from './sink.js';

/**
 * The table in which an `upsert` with `deleteMissing` remembers, batch by batch, the destination keys that the source
 * still has; quoted. It is logged: were it emptied by a crash, everything would count as missing.
 */
export function keepTable(run: string, plan: TablePlan): string {
  const name = createHash('sha256').update(`${run}/${plan.id}`).digest('hex').slice(0, 16);
  return `lethe.${quoteIdent(`keep_${name}`)}`;
}

/** Makes it, empty; in the transaction that cuts the table. */
export async function makeKeepTable(destination: Session, run: string, plan: TablePlan): Promise<void> {
  const columns = quoteColumns(conflictColumns(plan));
  await query(
    destination,
    `CREATE TABLE ${keepTable(run, plan)} AS SELECT ${columns} FROM ${quoteTable(plan.destination)} WITH NO DATA`,
  );
}

/**
 * Deletes the rows whose key no batch wrote; returns how many. Only for a table whose partitions are all done and that
 * has no row in quarantine: those would count as missing. In the caller's fenced transaction; removes the table.
 */
export async function deleteMissing(destination: Session, run: string, plan: TablePlan): Promise<number> {
  const keep = keepTable(run, plan);
  const pairs = conflictColumns(plan)
    .map(quoteIdent)
    .map((column) => `kept.${column} = present.${column}`);
  await query(destination, `ANALYZE ${keep}`);
  const deleted = await execute(
    destination,
    `DELETE FROM ${quoteTable(plan.destination)} AS present
     WHERE NOT EXISTS (SELECT FROM ${keep} AS kept WHERE ${pairs.join(' AND ')})`,
  );
  await dropKeepTable(destination, run, plan);
  return deleted;
}

/** Removes it, where a run ends without having deleted. */
export async function dropKeepTable(destination: Session, run: string, plan: TablePlan): Promise<void> {
  await query(destination, `DROP TABLE IF EXISTS ${keepTable(run, plan)}`);
}
