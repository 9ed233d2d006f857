import { LetheError } from '../../errors/errors.js';
import type { TableName } from '../../plan/catalog.js';
import { PHASE, type TakenRow, takenRows, takenText } from '../ledger/ddl.js';
import { type Fence, groupByTable, leaveOwed, restoreRows, restoreTogether } from '../saga/put-back.js';
import { handOver } from '../saga/restore.js';
import { query, type Session } from '../session.js';

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

/** Below this many rows in all, everything is put back in one transaction; above, table by table. */
const FEW_ROWS = 200_000;

/**
 * Puts the indexes and unique constraints of a loaded table back. Optimistic: rows are looked at only when the server
 * refuses.
 *
 * @throws LetheError `QuarantineLimit` when rows are in the way and may not be removed; the rest is back then.
 */
export async function settleTable(session: Session, settlement: Settlement, table: TableName): Promise<void> {
  const rows = await takenRows(session, { run: settlement.run, table, maxPhase: PHASE.index });
  refuseOwed(await settleGroup(session, settlement, rows));
}

/**
 * Puts the foreign keys of a run back, checked, when all its tables have their indexes; then its triggers, rules and
 * row security.
 *
 * @throws LetheError `QuarantineLimit` as `settleTable`; such keys are left NOT VALID.
 */
export async function settleReferences(session: Session, settlement: Settlement): Promise<void> {
  const { run, fence } = settlement;
  const rows = await takenRows(session, { run });
  const keys = await handOver(
    session,
    rows.filter((row) => row.phase <= PHASE.foreignKey),
    run,
  );
  const groups = (await loadedRows(session, run)) < FEW_ROWS ? [keys] : groupByTable(keys);
  const owed: TakenRow[] = [];
  for (const group of groups) owed.push(...(await settleGroup(session, settlement, group)));
  await restoreRows(
    session,
    fence,
    rows.filter((row) => row.phase > PHASE.foreignKey),
  );
  refuseOwed(owed);
}

/** Returns what had to stay owed. */
async function settleGroup(
  session: Session,
  settlement: Settlement,
  rows: readonly TakenRow[],
): Promise<TakenRow[]> {
  const owed: TakenRow[] = [];
  for (const row of await restoreTogether(session, settlement.fence, rows)) {
    if (await settlement.removeViolators?.(session, row)) {
      await restoreRows(session, settlement.fence, [row]);
    } else {
      await leaveOwed(session, settlement.fence, row);
      owed.push(row);
    }
  }
  return owed;
}

async function loadedRows(session: Session, run: string): Promise<number> {
  const [found] = await query(
    session,
    'SELECT coalesce(sum(rows), 0) AS rows FROM lethe.batch WHERE run = $1',
    [run],
  );
  return Number(found?.rows);
}

function refuseOwed(owed: readonly TakenRow[]): void {
  if (owed.length === 0) return;
  const names = owed.map(takenText);
  throw new LetheError(
    'QuarantineLimit',
    `More rows than the job allows violate ${names.join(', ')}: foreign keys are NOT VALID, unique ones absent. Correct the source or the job (onFailure), and run again.`,
    { owed: names },
  );
}
