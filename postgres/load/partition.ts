import { LetheError } from '../../errors/errors.js';
import type { Bounds } from '../../ledger/types.js';
import { tableText } from '../../plan/catalog.js';
import { fence } from '../fence.js';
import {
  claimBatch,
  finishPartition,
  lastBatches,
  type StoredBatch,
  type StoredPartition,
} from '../ledger/batches.js';
import type { BatchId } from '../ledger/twins.js';
import { withTransaction } from '../session.js';
import { type BatchWork, loadBatch } from './batch.js';
import type { TableContext } from './context.js';
import { batchSize } from './reads.js';
import { mustRestart } from './restart.js';
import { openBounds, sealBounds } from './seals.js';
import { whileWaiting } from './waiting.js';

/** Where a partition goes on. */
interface Position {
  readonly batch: number;
  readonly from: Bounds['from'];
  /** Link of the last committed batch, or ''. */
  readonly chain: string;
}

/**
 * Loads what is not yet committed of a partition, batch by batch. Each batch's bounds are fixed when it is first
 * claimed, so a retry, or a twin, means the same rows.
 */
export async function loadPartition(context: TableContext, stored: StoredPartition): Promise<void> {
  if (stored.done) return;
  const { task, keys, source, table, destination } = context;
  refuseMoved(context, stored);
  const partition = openBounds(keys, { run: task.run, partition: stored.partition }, stored.bounds);
  let position = await resume(context, stored, partition);
  if (position === undefined) return;
  await source.setBound('end', key(context, partition.to));
  await source.setBound('from', key(context, position.from));
  for (;;) {
    const work = await claim(context, stored.partition, partition, position);
    const chain = (await loadBatch(context, work)) ?? (await chainOf(context, work.id));
    if (work.last) {
      // A twin may have ended here before us.
      await withTransaction(destination, async () => {
        await fence(destination, table.epoch);
        await finishPartition(destination, task.run, stored.partition, chain);
      });
      return;
    }
    position = { batch: position.batch + 1, from: work.bounds.to, chain };
    await source.advance();
  }
}

/** After the last committed batch; undefined when that was the partition's last, which is then marked as done. */
async function resume(
  context: TableContext,
  stored: StoredPartition,
  partition: Bounds,
): Promise<Position | undefined> {
  const { task, destination, keys, table } = context;
  const batches = await lastBatches(destination, task.run, stored.partition);
  const committed = batches.filter(({ state }) => state === 'committed').at(-1);
  if (!committed) return { batch: 0, from: partition.from, chain: '' };
  const { to } = openBounds(
    keys,
    { run: task.run, partition: stored.partition, batch: committed.batch },
    committed.bounds,
  );
  if (!same(to, partition.to)) return { batch: committed.batch + 1, from: to, chain: committed.chain };
  await withTransaction(destination, async () => {
    await fence(destination, table.epoch);
    await finishPartition(destination, task.run, stored.partition, committed.chain);
  });
  return undefined;
}

async function claim(
  context: TableContext,
  number: number,
  partition: Bounds,
  { batch, from, chain }: Position,
): Promise<BatchWork> {
  const { task, keys, source, table, destination, guard, ranges } = context;
  const id = { run: task.run, partition: number, batch };
  const size = batchSize(table.plan.units[partition.unit]!, task.execution.batchRows);
  const open = { unit: partition.unit, from, to: partition.to };
  const tell = () => context.report({ partition: number, batch, ...context.written });
  const next = await whileWaiting(ranges.nextBound(open, size), tell);
  const wanted = { ...open, to: next ?? partition.to };
  const facts = {
    table: table.plan.id,
    bounds: sealBounds(keys, id, wanted),
    generation: task.snapshot.generation,
  };
  const stored = await whileWaiting(claimBatch(destination, id, facts, guard), tell);
  const bounds = openBounds(keys, id, stored.bounds);
  const last = same(bounds.to, partition.to);
  if (!last) await source.setBound('to', key(context, bounds.to));
  return { id, stored, bounds, last, upper: last ? 'end' : 'to', previous: chain };
}

/** The link of a batch that a twin committed. */
async function chainOf({ task, destination }: TableContext, id: BatchId): Promise<string> {
  const batches: StoredBatch[] = await lastBatches(destination, task.run, id.partition);
  const batch = batches.find((found) => found.batch === id.batch);
  if (batch?.state === 'committed') return batch.chain;
  throw new LetheError('Unreachable', 'Another attempt is ahead in this partition; this one gives way.');
}

/** A partition that was cut under a lost snapshot, of a table that can only be read whole. */
function refuseMoved({ table, task }: TableContext, stored: StoredPartition): void {
  if (!mustRestart(table.plan, [stored], task.snapshot.generation)) return;
  const name = tableText(table.plan.source);
  throw new LetheError(
    'TableRestarts',
    `The snapshot of ${name} was lost, and the table has no key to go on by: it is read again from its start.`,
    { table: name },
  );
}

/** Block numbers are no secrets and stand in the statements. */
function key({ table }: TableContext, bound: Bounds['from']): Bounds['from'] {
  return table.plan.key.kind === 'columns' ? bound : null;
}

function same(a: Bounds['from'], b: Bounds['from']): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
