import { LetheError } from '../../errors/errors.js';
import { PHASE, type TakenRow, takenRows, takenText } from '../ledger/ddl.js';
import { type Fence, groupByTable, leaveOwed, restoreRows, restoreTogether } from '../saga/put-back.js';
import type { SagaTable } from '../saga/relations.js';
import { handOver } from '../saga/restore.js';
import type { Session } from '../session.js';
import { type Removing, removeViolators } from './remove.js';

/** What settling needs of its run. */
export interface Settlement {
  readonly run: string;
  readonly fence: Fence;
  /** What removing the rows that stand in the way needs; without it such an index or key stays owed. */
  readonly removing?: Omit<Removing, 'run' | 'fence'>;
  /** Done when the foreign keys are back, while triggers and rules still are quiet: copies rows that were removed. */
  readonly afterKeys?: () => Promise<void>;
}

/** Below this many rows in all, everything is put back in one transaction; above, table by table. */
const FEW_ROWS = 200_000;

/**
 * Puts the indexes and unique constraints of loaded tables back. Optimistic: rows are looked at only when the server
 * refuses.
 *
 * @throws LetheError `QuarantineLimit` when rows are in the way and may not be removed; the rest is back then.
 */
export async function settleTables(
  session: Session,
  settlement: Settlement,
  tables: readonly SagaTable[],
): Promise<void> {
  const rows = (await takenRows(session, { run: settlement.run, maxPhase: PHASE.index })).filter((row) =>
    tables.some(({ destination: t }) => t.schema === row.schema && t.name === row.table),
  );
  refuseOwed(await settleRows(session, settlement, tables, rows));
}

/**
 * Puts the foreign keys of a run back, checked, when all its tables have their indexes; then its triggers, rules and
 * row security.
 *
 * @throws LetheError `QuarantineLimit` as `settleTables`; such keys are left NOT VALID.
 */
export async function settleReferences(
  session: Session,
  settlement: Settlement,
  tables: readonly SagaTable[],
): Promise<void> {
  const { run, fence } = settlement;
  const rows = await takenRows(session, { run });
  const open = rows.filter((row) => row.phase <= PHASE.foreignKey);
  // Those of tables outside the job come last: from then on no row may be removed any more.
  const keys = (await handOver(session, open, run)).sort(
    (a, b) => Number(a.facts.foreignKey?.outside ?? false) - Number(b.facts.foreignKey?.outside ?? false),
  );
  const owed = await settleRows(session, settlement, tables, keys);
  await settlement.afterKeys?.();
  const rest = await takenRows(session, { run });
  await restoreRows(
    session,
    fence,
    rest.filter((row) => row.phase > PHASE.foreignKey),
  );
  refuseOwed(owed);
}

/** Returns what had to stay owed. */
async function settleRows(
  session: Session,
  settlement: Settlement,
  tables: readonly SagaTable[],
  rows: readonly TakenRow[],
): Promise<TakenRow[]> {
  const few = tables.reduce((sum, table) => sum + Math.max(0, table.rows), 0) < FEW_ROWS;
  const owed: TakenRow[] = [];
  for (const group of few ? [rows] : groupByTable(rows)) {
    for (const row of await restoreTogether(session, settlement.fence, group)) {
      if (await removeAndRestore(session, settlement, row)) continue;
      await leaveOwed(session, settlement.fence, row);
      owed.push(row);
    }
  }
  return owed;
}

async function removeAndRestore(session: Session, settlement: Settlement, row: TakenRow): Promise<boolean> {
  const { run, fence, removing } = settlement;
  if (!removing || !(await removeViolators(session, { ...removing, run, fence }, row))) return false;
  return (await restoreTogether(session, fence, [row])).length === 0;
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
