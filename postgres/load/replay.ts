import { createHash } from 'node:crypto';
import { chainLink } from '../../ledger/chain.js';
import { tableText } from '../../plan/catalog.js';
import { sanitize } from '../errors.js';
import { fence } from '../fence.js';
import { batchTime, finishPartition, nextPartition, openReplayed, recordOutcome } from '../ledger/batches.js';
import {
  countQuarantined,
  countWaiting,
  GONE,
  lockUntried,
  markTried,
  type RetriedRow,
} from '../ledger/quarantine.js';
import type { BatchId } from '../ledger/twins.js';
import { query } from '../session.js';
import type { Loaded } from './batch.js';
import { CarefulLoad } from './careful.js';
import { type TableContext, type TaskContext, tableContext } from './context.js';
import { QuarantineBudget } from './quarantine.js';
import { openRowKey, sealBounds } from './seals.js';
import type { LoadResult, QuarantinedWork } from './task.js';
import { BatchWatch } from './watch.js';

interface Tried {
  readonly rows: number;
  readonly bytes: number;
  readonly gone: number;
}

/**
 * Tries the quarantined rows of the task's tables again, found at the source by their keys. Constraints are in force
 * meanwhile, so a row either fits or goes back to quarantine with its new reason. Some rows at a time, each time in one
 * transaction of the destination with their ledger rows: what a former attempt committed is not tried again.
 */
export async function replayTables(context: TaskContext, work: QuarantinedWork): Promise<LoadResult> {
  const { task, destination } = context;
  const total = { rows: 0, bytes: 0, quarantined: 0, gone: 0, waiting: 0 };
  for (const table of task.tables) {
    const loader = await tableContext(context, table);
    for (let tried = await trySome(loader, work); tried; tried = await trySome(loader, work)) {
      total.rows += tried.rows;
      total.bytes += tried.bytes;
      total.gone += tried.gone;
    }
    total.quarantined += await countQuarantined(destination, task.run, table.plan.id);
    total.waiting += await countWaiting(destination, task.run, table.plan.id);
  }
  return total;
}

/** Where the ledger accounts for rows that are replayed together. */
interface Account {
  readonly id: BatchId;
  /** Of the batch, sealed. */
  readonly bounds: string;
}

/** Undefined when none is left. */
async function trySome(loader: TableContext, work: QuarantinedWork): Promise<Tried | undefined> {
  const { destination, table, task, source, written } = loader;
  const began = new BatchWatch(loader, { partition: 0, batch: 0 });
  await query(destination, 'BEGIN');
  try {
    await fence(destination, table.epoch);
    const rows = await lockUntried(destination, task.run, table.plan.id, work, source.keysAtOnce);
    if (rows.length === 0) {
      await query(destination, 'ROLLBACK');
      return undefined;
    }
    // What is deferred would fail at the commit, when nobody can tell which row it was.
    await query(destination, 'SET CONSTRAINTS ALL IMMEDIATE');
    const opened = await account(loader, work);
    const { loaded, gone } = await copyRows(loader, opened.id, rows, work.pass);
    await source.refuseChanged(table.plan);
    await record(loader, opened, loaded);
    await query(destination, 'COMMIT');
    written.rows += loaded.rows;
    written.bytes += loaded.bytes;
    began.tell('committed', loaded);
    return { rows: loaded.rows, bytes: loaded.bytes, gone };
  } catch (error) {
    await query(destination, 'ROLLBACK').catch(() => undefined);
    throw sanitize(error, `replaying rows of ${tableText(table.plan.destination)}`);
  }
}

async function copyRows(
  loader: TableContext,
  id: BatchId,
  rows: readonly RetriedRow[],
  pass: number,
): Promise<{ loaded: Loaded; gone: number }> {
  const { destination, source, table, ranges, carefulShape } = loader;
  const keys = rows.map((row) => keyOf(loader, row));
  // A key that cannot be asked for stays in quarantine.
  const mute = rows.filter((_, i) => keys[i] && !source.knowsKey(keys[i]));
  const asked = keys.filter((key) => key !== undefined && source.knowsKey(key)) as string[][];
  const tried = rows.filter((row) => !mute.includes(row));
  await markTried(destination, ids(mute), pass, null);
  await markTried(destination, ids(tried), pass, 'copied');
  const seen = new Set<string>();
  const load = new CarefulLoad(loader, id, QuarantineBudget.unlimited(loader), (hash) => seen.add(hash));
  if (asked.length > 0) {
    await source.setKeys(asked);
    await query(source.session, 'SET LOCAL enable_seqscan = off');
    for (const unit of table.plan.units.keys()) {
      await load.read(source.copy(ranges.rowsByKey(carefulShape.select, unit)));
    }
  }
  const loaded = await load.finish();
  const gone = tried.filter(({ keyHash }) => !seen.has(keyHash));
  await markTried(destination, ids(gone), pass, 'gone');
  return { loaded, gone: gone.length };
}

/** Undefined for a row that the source had no more when it was removed. */
function keyOf({ keys, task, table }: TableContext, row: RetriedRow): string[] | undefined {
  if (row.message.endsWith(GONE)) return undefined;
  return openRowKey(keys, { run: task.run, table: table.plan.id }, row.key) as string[];
}

async function account(loader: TableContext, work: QuarantinedWork): Promise<Account> {
  const { destination, table, task, keys } = loader;
  const { run } = task;
  const id = { run, partition: await nextPartition(destination, run), batch: 0 };
  const nowhere = { unit: 0, from: [], to: [] };
  const bounds = [
    sealBounds(keys, { run, partition: id.partition }, nowhere),
    sealBounds(keys, id, nowhere),
  ] as const;
  const { generation } = task.snapshot;
  const of = { table: table.plan.id, replay: work.replay, generation, bounds };
  await openReplayed(destination, id, of);
  return { id, bounds: bounds[1] };
}

async function record(
  { destination, table, task }: TableContext,
  { id, bounds }: Account,
  loaded: Loaded,
): Promise<void> {
  const { evidence, ...counts } = loaded;
  const committedAt = await batchTime(destination);
  const facts = { ...counts, generation: task.snapshot.generation, committedAt };
  const evidenceDigest = evidence ? createHash('sha256').update(evidence).digest('hex') : '';
  const covered = { ...id, ...facts, table: table.plan.id, bounds, evidenceDigest };
  const chain = chainLink('', covered);
  await recordOutcome(destination, id, { ...facts, chain, evidence });
  await finishPartition(destination, id.run, id.partition, chain);
}

function ids(rows: readonly RetriedRow[]): string[] {
  return rows.map(({ id }) => id);
}
