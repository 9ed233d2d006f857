import type { TablePlan } from '../../plan/plan.js';
import { type Epoch, takeEpochs } from '../fence.js';
import { wholeTable } from '../identifiers.js';
import { dropPartitions, type StoredPartition } from '../ledger/batches.js';
import { dropQuarantined } from '../ledger/quarantine.js';
import { silence } from '../saga/guards.js';
import { execute, type Session } from '../session.js';
import { keepTable } from './keep.js';

/**
 * Whether a table that was cut under an earlier snapshot has to be read again from its start. Without a key it is read
 * by block numbers, and a row that is updated moves to another block: read half under one snapshot and half under the
 * next, it would come twice or not at all.
 *
 * @param generation Of the snapshot that is held now.
 */
export function mustRestart(
  plan: TablePlan,
  partitions: readonly StoredPartition[],
  generation: number,
): boolean {
  if (plan.key.kind === 'columns') return false;
  return partitions.some(({ done }) => !done) && partitions.some((one) => one.generation !== generation);
}

/**
 * Undoes what the run did to a table so far: its rows, batches and quarantine. The new epoch ends every writer of the
 * old partitions. In the caller's transaction, which cuts the table anew.
 */
export async function restartTable(
  destination: Session,
  run: string,
  plan: TablePlan,
  epoch: Epoch,
): Promise<Epoch> {
  const [next] = await takeEpochs(destination, run, [epoch.id]);
  await dropPartitions(destination, run, plan.id);
  await dropQuarantined(destination, run, plan.id);
  if (plan.deleteMissing) await execute(destination, `TRUNCATE ${keepTable(run, plan)}`);
  // An upsert finds the rows by their keys when it writes them again.
  if (plan.conflictKey) return next!;
  await silence(destination, 'replace', 'transaction');
  await execute(destination, `TRUNCATE ${wholeTable(plan)}`);
  return next!;
}

/**
 * Forgets what the run did to a table that it lost or cannot go on with: the next cut begins anew, and taking away what
 * is in the way of the load empties it. In the caller's transaction, which has taken the table's epoch.
 */
export async function forgetTable(destination: Session, run: string, plan: TablePlan): Promise<void> {
  await dropPartitions(destination, run, plan.id);
  await dropQuarantined(destination, run, plan.id);
  if (plan.deleteMissing) await execute(destination, `DROP TABLE IF EXISTS ${keepTable(run, plan)}`);
  const { schema, name } = plan.destination;
  await execute(
    destination,
    'UPDATE lethe.epoch SET emptied = NULL WHERE schema_name = $1 AND table_name = $2',
    [schema, name],
  );
}
