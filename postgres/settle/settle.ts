import { LetheError } from '../../errors/errors.js';
import type { TableName } from '../../plan/catalog.js';
import { PHASE, type TakenRow, takenRows } from '../ledger/ddl.js';
import { type Fence, isViolation, leaveOwed, restoreRows } from '../saga/put-back.js';
import type { Session } from '../session.js';

/** What settling needs of its run. */
export interface Settlement {
  readonly run: string;
  readonly fence: Fence;
  /**
   * Removes the rows that stand in the way of an index or key and records them as quarantined. Returns false, having
   * removed nothing, when they are more than the job allows or cannot be told from their source.
   */
  removeViolators?(session: Session, row: TakenRow): Promise<boolean>;
}

/**
 * Puts the indexes and unique constraints of a loaded table back. Optimistic: rows are looked at only when the server
 * refuses.
 *
 * @throws LetheError `QuarantineLimit` when rows are in the way and may not be removed; the rest is back then.
 */
export async function settleTable(session: Session, settlement: Settlement, table: TableName): Promise<void> {
  const rows = await takenRows(session, { run: settlement.run, table, maxPhase: PHASE.index });
  await settleRows(session, settlement, rows);
}

/**
 * Puts the foreign keys of a run back, checked, when all its tables have their indexes; then its triggers, rules and
 * row security.
 *
 * @throws LetheError `QuarantineLimit` as `settleTable`; such keys are left NOT VALID.
 */
export async function settleReferences(session: Session, settlement: Settlement): Promise<void> {
  const rows = await takenRows(session, { run: settlement.run });
  const keys = rows.filter((row) => row.phase <= PHASE.foreignKey);
  const guards = rows.filter((row) => row.phase > PHASE.foreignKey);
  try {
    await settleRows(session, settlement, keys);
  } finally {
    await restoreRows(session, settlement.fence, guards);
  }
}

async function settleRows(
  session: Session,
  settlement: Settlement,
  rows: readonly TakenRow[],
): Promise<void> {
  const owed: TakenRow[] = [];
  for (const row of rows) {
    if (!(await settleRow(session, settlement, row))) owed.push(row);
  }
  if (owed.length === 0) return;
  const names = owed.map((row) => `${row.schema}.${row.table}.${row.object}`);
  throw new LetheError(
    'QuarantineLimit',
    `More rows than the job allows violate ${names.join(', ')}: foreign keys are NOT VALID, unique ones absent. Correct the source or the job (onFailure.quarantine), and run again; or put them back by hand.`,
    { owed: names },
  );
}

async function settleRow(session: Session, settlement: Settlement, row: TakenRow): Promise<boolean> {
  try {
    await restoreRows(session, settlement.fence, [row]);
    return true;
  } catch (error) {
    if (!isViolation(error)) throw error;
  }
  if (await settlement.removeViolators?.(session, row)) {
    await restoreRows(session, settlement.fence, [row]);
    return true;
  }
  await leaveOwed(session, settlement.fence, row);
  return false;
}
