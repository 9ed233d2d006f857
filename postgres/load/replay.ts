import { tableText } from '../../plan/catalog.js';
import { sanitize } from '../errors.js';
import {
  countQuarantined,
  countWaiting,
  lockUntried,
  markTried,
  type RetriedRow,
} from '../ledger/quarantine.js';
import { query } from '../session.js';
import type { TableContext, TaskContext } from './context.js';
import { KeyedCopy, keyOf, type Tried } from './keyedCopy.js';
import { copyKnots } from './knots.js';
import type { LoadResult, QuarantinedWork } from './task.js';

/**
 * Tries the quarantined rows of the task's tables again, found at the source by their keys. Constraints are in force
 * meanwhile, so a row either fits or goes back to quarantine with its new reason. A parent that a row needs and that was
 * never copied, since it is newer than the snapshot under which its table was read, is copied first; rows that need each
 * other in a circle come together. Some rows at a time, each time in one transaction of the destination with their ledger
 * rows: what a former attempt committed is not tried again.
 */
export async function replayTables(context: TaskContext, work: QuarantinedWork): Promise<LoadResult> {
  const { task, destination } = context;
  const total = { rows: 0, bytes: 0, quarantined: 0, gone: 0, waiting: 0 };
  for (const table of task.tables) {
    const copy = await KeyedCopy.open(context, work, table);
    const add = (tried: Tried) => {
      total.rows += tried.rows;
      total.bytes += tried.bytes;
      total.gone += tried.gone;
    };
    for (let tried = await trySome(copy); tried; tried = await trySome(copy)) add(tried);
    add(await copyKnots(copy));
    total.quarantined += await countQuarantined(destination, task.run, table.plan.id);
    total.waiting += await countWaiting(destination, task.run, table.plan.id);
  }
  return total;
}

/** Undefined when none is left. */
async function trySome(copy: KeyedCopy): Promise<Tried | undefined> {
  const { context, work, table } = copy;
  const { destination, task, source } = context;
  const loader = await copy.loaderOf(table);
  try {
    await copy.begin();
    const rows = await lockUntried(destination, task.run, table.plan.id, work, source.keysAtOnce);
    if (rows.length === 0) {
      await query(destination, 'ROLLBACK');
      return undefined;
    }
    // What is deferred would fail at the commit, when nobody can tell which row it was.
    await query(destination, 'SET CONSTRAINTS ALL IMMEDIATE');
    const gone = await copyRows(copy, loader, rows);
    return { ...(await copy.commit()), gone };
  } catch (error) {
    await query(destination, 'ROLLBACK').catch(() => undefined);
    throw sanitize(error, `replaying rows of ${tableText(table.plan.destination)}`);
  }
}

/** Returns how many of them the source has no more. */
async function copyRows(copy: KeyedCopy, loader: TableContext, rows: readonly RetriedRow[]): Promise<number> {
  const { destination, source } = loader;
  const { pass } = copy.work;
  const keys = rows.map((row) => keyOf(loader, row));
  // A key that cannot be asked for stays in quarantine.
  const mute = rows.filter((_, i) => keys[i] && !source.knowsKey(keys[i]));
  const asked = keys.filter((key) => key !== undefined && source.knowsKey(key)) as string[][];
  const tried = rows.filter((row) => !mute.includes(row));
  await markTried(destination, ids(mute), pass, null);
  await markTried(destination, ids(tried), pass, 'copied');
  for (const { keyHash } of tried) copy.under.add(keyHash);
  const seen = new Set<string>();
  await copy.copy(loader, asked, (hash) => seen.add(hash));
  const gone = tried.filter(({ keyHash }) => !seen.has(keyHash));
  await markTried(destination, ids(gone), pass, 'gone');
  copy.under.clear();
  return gone.length;
}

function ids(rows: readonly RetriedRow[]): string[] {
  return rows.map(({ id }) => id);
}
