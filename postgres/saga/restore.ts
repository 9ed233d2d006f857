import { isOpen } from '../../ledger/states.js';
import type { RunState } from '../../ledger/types.js';
import { tableText } from '../../plan/catalog.js';
import { fence as checkFence, type Epoch, readEpochs, takeEpochs } from '../fence.js';
import { adoptTaken, PHASE, type TakenRow, takenRows, takenText } from '../ledger/ddl.js';
import { query, type Session, withTransaction } from '../session.js';
import { Emptying, loadsOf } from './emptying.js';
import { type Fence, groupByTable, keyTables, leaveOwed, restoreRows, restoreTogether } from './put-back.js';
import { insideCycle, type SagaPlan, touches } from './take-away.js';

export interface RestoreOptions {
  /** Only rows for which it says yes; the others stay open, for a run that adopts them. */
  readonly only?: (row: TakenRow) => boolean;
}

export interface Restored {
  /** Things put back exactly as they were found. */
  readonly restored: number;
  /** Tables emptied, `schema.table`: their load was incomplete, or they referenced such a one. */
  readonly emptied: readonly string[];
  /** Put back NOT VALID, or not at all, because rows that are not Lethe's to remove violate it: `schema.table.name`. */
  readonly owed: readonly string[];
}

/**
 * Puts back what runs that have ended took away: for `lethe restore`, for a cancelled run, and before the next one.
 * Takes the epochs of each run first, so that whoever still writes for it is shut out. Runs that nobody may be working
 * on are the caller's to choose; `owingRuns` lists candidates.
 */
export async function restoreRuns(
  session: Session,
  runs: readonly string[],
  options: RestoreOptions = {},
): Promise<Restored> {
  let total = NOTHING;
  for (const run of runs) {
    total = sum(total, await restore(session, await takeRun(session, run), run, options));
  }
  return total;
}

const NOTHING: Restored = { restored: 0, emptied: [], owed: [] };

function sum(a: Restored, b: Restored): Restored {
  return {
    restored: a.restored + b.restored,
    emptied: [...a.emptied, ...b.emptied],
    owed: [...a.owed, ...b.owed],
  };
}

export interface OwingRun {
  readonly run: string;
  readonly job: string;
  readonly state: RunState;
  /** Things that are still away. */
  readonly open: number;
}

/** Runs whose constraints, indexes or triggers are not all back, oldest first. */
export async function owingRuns(session: Session): Promise<OwingRun[]> {
  const rows = await query(
    session,
    `SELECT r.run, r.job, r.state, count(*) AS open
       FROM lethe.ddl d JOIN lethe.run r USING (run)
      WHERE d.state <> 'restored'
      GROUP BY r.run ORDER BY r.started_at, r.run`,
  );
  return rows.map((row) => ({
    run: row.run!,
    job: row.job!,
    state: row.state as RunState,
    open: Number(row.open),
  }));
}

/**
 * What earlier runs left undone and the present one does not need undone: called by a run right after the transaction
 * that made the tables its own. Whatever belongs to other tables of runs that have ended comes back; and for `upsert`,
 * which loads with indexes and keys in place, also what it adopted of its own tables.
 */
export async function restoreDebts(
  session: Session,
  fence: Fence,
  run: string,
  plan: SagaPlan,
): Promise<Restored> {
  const ended = (await owingRuns(session)).filter((other) => other.run !== run && !isOpen(other.state));
  const foreign = await restoreRuns(
    session,
    ended.map((other) => other.run),
    { only: (row) => !touches(row, plan.tables) },
  );
  if (plan.mode === 'replace') return foreign;
  const stays = insideCycle(plan);
  const own = await restore(session, fence, run, {
    only: (row) => row.phase <= PHASE.foreignKey && !stays(row),
  });
  return sum(foreign, own);
}

/** The tables that the run still owns get a new epoch; the fence that is returned holds it. */
async function takeRun(session: Session, run: string): Promise<Fence> {
  const epochs = await withTransaction(session, async () => {
    const owned = await readEpochs(session, run);
    return takeEpochs(session, run, [...owned.keys()]);
  });
  return fenceOf(session, epochs);
}

async function fenceOf(session: Session, epochs: readonly Epoch[]): Promise<Fence> {
  const rows = await query(
    session,
    'SELECT id, schema_name, table_name FROM lethe.epoch WHERE id = ANY ($1::int[])',
    [epochs.map((epoch) => epoch.id)],
  );
  const byName = new Map(
    rows.map((row) => [
      tableText({ schema: row.schema_name!, name: row.table_name! }),
      epochs.find((epoch) => epoch.id === Number(row.id))!,
    ]),
  );
  return async (writer, tables) => {
    const wanted = new Set(tables.flatMap((table) => byName.get(tableText(table)) ?? []));
    for (const epoch of [...wanted].sort((a, b) => a.id - b.id)) await checkFence(writer, epoch);
  };
}

/**
 * Puts every constraint, index, trigger and rule back that a run owes. May be killed and repeated at any point.
 *
 * A `replace` table whose load is incomplete is emptied first, and then, transitively, each table of the same kind whose
 * rows reference rows that are gone: half a copy cannot have valid keys. Rows of other tables are never removed; a key
 * that they violate comes back NOT VALID and stays owed. What settle left owed is tried again, and no row removed for
 * it.
 */
export async function restore(
  session: Session,
  fence: Fence,
  run: string,
  options: RestoreOptions = {},
): Promise<Restored> {
  const rows = (await takenRows(session, { run })).filter((row) => options.only?.(row) ?? true);
  if (rows.length === 0) return NOTHING;
  const tables = new Emptying(session, fence, await loadsOf(session, run, rows));
  await tables.emptyIncomplete();
  const owed: TakenRow[] = [];
  const back = async (some: readonly TakenRow[]) => {
    for (const group of groupByTable(some)) {
      const refused = await restoreTogether(session, fence, group);
      for (const row of refused) if (!(await forceBack(session, fence, row, tables))) owed.push(row);
    }
  };
  await back(rows.filter((row) => row.phase < PHASE.foreignKey));
  const keys = await handOver(
    session,
    rows.filter((row) => row.phase === PHASE.foreignKey),
    run,
  );
  await tables.emptyOrphaned(keys.filter((row) => row.state === 'open'));
  await back(keys);
  await back(rows.filter((row) => row.phase > PHASE.foreignKey));
  return { restored: rows.length - owed.length, emptied: tables.emptied, owed: owed.map(takenText) };
}

/**
 * A key between a table of this run and one that another open run has not loaded whole, or has no indexes on yet,
 * cannot be checked: the other one puts it back. Returns the keys that are left.
 */
export async function handOver(
  session: Session,
  rows: readonly TakenRow[],
  run: string,
): Promise<TakenRow[]> {
  const others = await query(
    session,
    `SELECT e.schema_name, e.table_name, e.run
       FROM lethe.epoch e
       JOIN lethe.run r ON r.run = e.run
       CROSS JOIN LATERAL jsonb_to_recordset(r.pins -> 'plan' -> 'tables') AS t(id integer, destination jsonb)
      WHERE e.run <> $1 AND r.mode = 'replace' AND r.state IN ('planned', 'loading', 'settling')
        AND t.destination ->> 'schema' = e.schema_name AND t.destination ->> 'name' = e.table_name
        AND (NOT coalesce((SELECT bool_and(p.done) FROM lethe.partition p
                            WHERE p.run = r.run AND p.table_id = t.id), false)
             OR EXISTS (SELECT 1 FROM lethe.ddl d
                         WHERE d.run = r.run AND d.schema_name = e.schema_name AND d.table_name = e.table_name
                           AND d.state = 'open' AND d.phase < $2::int))`,
    [run, PHASE.foreignKey],
  );
  const owners = new Map(
    others.map((row) => [tableText({ schema: row.schema_name!, name: row.table_name! }), row.run!]),
  );
  const left: TakenRow[] = [];
  for (const row of rows) {
    const owner = keyTables(row).flatMap((table) => owners.get(tableText(table)) ?? [])[0];
    if (owner) await adoptTaken(session, [row.id], owner);
    else left.push(row);
  }
  return left;
}

/** Rows are in the way: they go, if they are ours. False when the thing had to stay owed. */
async function forceBack(session: Session, fence: Fence, row: TakenRow, tables: Emptying): Promise<boolean> {
  if (row.state === 'open' && (await tables.empty([{ schema: row.schema, name: row.table }]))) {
    await restoreRows(session, fence, [row]);
    return true;
  }
  await leaveOwed(session, fence, row);
  return false;
}
