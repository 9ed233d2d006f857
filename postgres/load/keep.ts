import { createHash } from 'node:crypto';
import type { Plan, TablePlan } from '../../plan/plan.js';
import { readOrderings } from '../catalog/operators.js';
import { quoteColumns, quoteIdent, quoteLiteral, quoteTable, wholeTable } from '../identifiers.js';
import type { Fence } from '../saga/put-back.js';
import { execute, query, type Session, withTransaction } from '../session.js';
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
  // Its name is a hash; this tells whose it is.
  await query(destination, `COMMENT ON TABLE ${keepTable(run, plan)} IS ${quoteLiteral(run)}`);
}

/**
 * Deletes the rows whose key no batch wrote; returns how many. Only for a table whose partitions are all done and that
 * has no row in quarantine: those would count as missing. In the caller's fenced transaction; removes the table.
 */
export async function deleteMissing(destination: Session, run: string, plan: TablePlan): Promise<number> {
  const keep = keepTable(run, plan);
  const key = conflictColumns(plan);
  const orderings = await readOrderings(destination, plan.destination, key);
  const pairs = key.map((column, i) => {
    const name = quoteIdent(column);
    return `kept.${name} ${orderings[i]!.equal} present.${name}`;
  });
  await query(destination, `ANALYZE ${keep}`);
  const deleted = await execute(
    destination,
    `DELETE FROM ${wholeTable(plan)} AS present
     WHERE NOT EXISTS (SELECT FROM ${keep} AS kept WHERE ${pairs.join(' AND ')})`,
  );
  await query(destination, `DROP TABLE ${keep}`);
  return deleted;
}

/**
 * After the load of an `upsert` with `deleteMissing`: deletes what the source no longer has, children before the parents
 * that they reference, a table a transaction; tables that a former attempt has done are left alone. When rows are in
 * quarantine nothing is deleted, since those would count as missing, and a sentence that says so is returned; a replay
 * does it when none is left.
 */
export async function followDeletions(
  destination: Session,
  fence: Fence,
  run: string,
  { tables, order }: Plan,
): Promise<string | undefined> {
  const [row] = await query(
    destination,
    'SELECT count(*) AS n FROM lethe.quarantine WHERE run = $1 AND replayed_at IS NULL',
    [run],
  );
  if (row?.n !== '0')
    return 'Deletions of the source were not followed this time: rows are in quarantine, and would count as deleted.';
  for (const id of order.flat().reverse()) {
    const table = tables.find((candidate) => candidate.id === id && candidate.deleteMissing);
    if (!table) continue;
    await withTransaction(destination, async () => {
      await fence(destination, [table.destination]);
      const [keep] = await query(destination, 'SELECT to_regclass($1) AS there', [keepTable(run, table)]);
      if (keep?.there) await deleteMissing(destination, run, table);
    });
  }
  return undefined;
}

/** Whether the table is there: not when an earlier version ended the run. */
export async function hasKeepTable(destination: Session, run: string, plan: TablePlan): Promise<boolean> {
  const [row] = await query(destination, 'SELECT to_regclass($1) IS NOT NULL AS there', [
    keepTable(run, plan),
  ]);
  return row?.there === 't';
}

/** Removes the tables of a run that ends without having deleted, and of runs that have ended without a word. */
export async function dropKeepTables(destination: Session, run: string): Promise<void> {
  const rows = await query(
    destination,
    `SELECT c.oid::regclass::text AS name FROM pg_catalog.pg_class c LEFT JOIN lethe.run r
         ON r.run::text = pg_catalog.obj_description(c.oid, 'pg_class')
      WHERE c.relnamespace = 'lethe'::regnamespace AND c.relname LIKE 'keep\\_%'
        AND (r.run = $1::uuid OR r.run IS NULL OR r.state IN ('complete', 'failed', 'cancelled', 'superseded'))`,
    [run],
  );
  for (const { name } of rows) await query(destination, `DROP TABLE IF EXISTS ${name}`);
}
