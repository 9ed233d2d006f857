import { createHash } from 'node:crypto';
import type { LetheError } from '../../errors/errors.js';
import { chainLink } from '../../ledger/chain.js';
import type { Bounds } from '../../ledger/types.js';
import { tableText } from '../../plan/catalog.js';
import { rowErrorClass, sanitize } from '../errors.js';
import { fence, isLockTimeout } from '../fence.js';
import {
  batchTime,
  failBatch,
  finishPartition,
  guardBatch,
  recordOutcome,
  type StoredBatch,
} from '../ledger/batches.js';
import { type BatchId, terminateTwins } from '../ledger/twins.js';
import { query, withTransaction } from '../session.js';
import { loadCarefully } from './careful.js';
import type { TableContext } from './context.js';
import { type Pumped, pump, RowsRefused } from './pump.js';
import type { Side } from './source.js';
import { whileWaiting } from './waiting.js';
import { BatchWatch } from './watch.js';

/** A claimed batch, ready to be loaded. */
export interface BatchWork {
  readonly id: BatchId;
  readonly stored: StoredBatch;
  readonly bounds: Bounds;
  /** The side of the source's bounds that ends it. */
  readonly upper: Side;
  /** The last of its partition, which is done with it. */
  readonly last: boolean;
  /** Link of the batch before, '' for the first. */
  readonly previous: string;
}

/** What a batch did, normally or carefully. */
export interface Loaded extends Pumped {
  readonly quarantined: number;
}

const LOCK_ROUNDS = 10;

/**
 * Loads a batch and commits it with its ledger row in one transaction of the destination:
 * fence → the ledger row becomes `committed` → rows → counts, digests, chain → commit. A twin waits at the second step.
 *
 * @returns The batch's link of the chain, or undefined when a twin has committed it already.
 */
export async function loadBatch(context: TableContext, work: BatchWork): Promise<string | undefined> {
  try {
    return await inBatchTransaction(context, work, () => loadRows(context, work));
  } catch (error) {
    if (!(error instanceof RowsRefused)) throw await failed(context, work, error);
    if (error.refusal !== undefined && rowErrorClass(error.refusal) === undefined) {
      const name = tableText(context.table.plan.destination);
      throw await failed(context, work, sanitize(error.refusal, `writing ${name}`));
    }
  }
  try {
    return await inBatchTransaction(context, work, () => loadCarefully(context, work));
  } catch (error) {
    throw await failed(context, work, error);
  }
}

/** Tries again when another attempt was in the way and had to be ended. */
async function inBatchTransaction(
  context: TableContext,
  work: BatchWork,
  load: () => Promise<Loaded>,
): Promise<string | undefined> {
  for (let round = 1; ; round++) {
    try {
      return await batchTransaction(context, work, load);
    } catch (error) {
      if (!isLockTimeout(error) || round === LOCK_ROUNDS) throw error;
      await terminateTwins(context.destination, work.id, context.guard);
    }
  }
}

async function batchTransaction(
  context: TableContext,
  work: BatchWork,
  load: () => Promise<Loaded>,
): Promise<string | undefined> {
  const { destination, table, written } = context;
  const watch = new BatchWatch(context, work.id);
  await query(destination, 'BEGIN');
  try {
    await fence(destination, table.epoch);
    if (!(await becomeCommitted(context, work.id))) {
      await query(destination, 'ROLLBACK');
      return undefined;
    }
    const loaded = await load();
    await context.source.refuseChanged(table.plan);
    const chain = await recordLoaded(context, work, loaded);
    await query(destination, 'COMMIT');
    written.rows += loaded.rows;
    written.bytes += loaded.bytes;
    watch.tell('committed', loaded);
    return chain;
  } catch (error) {
    await query(destination, 'ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Before any row: a twin waits here, and who comes second learns that it is done. */
async function becomeCommitted(context: TableContext, id: BatchId): Promise<boolean> {
  const { destination, guard, written, report } = context;
  const tell = () => report({ partition: id.partition, batch: id.batch, ...written });
  await query(destination, `SET LOCAL lock_timeout = ${Math.ceil(guard.staleAfterMs)}`);
  const first = await whileWaiting(guardBatch(destination, id), tell);
  await query(destination, 'SET LOCAL lock_timeout = 0');
  return first;
}

async function recordLoaded(context: TableContext, work: BatchWork, loaded: Loaded): Promise<string> {
  const { destination, table, task } = context;
  const { id, stored, previous, last } = work;
  const { evidence, ...counts } = loaded;
  const committedAt = await batchTime(destination);
  const facts = { ...counts, generation: task.snapshot.generation, committedAt };
  const chain = chainLink(previous, {
    ...id,
    ...facts,
    table: table.plan.id,
    bounds: stored.bounds,
    evidenceDigest: evidence ? createHash('sha256').update(evidence).digest('hex') : '',
  });
  await recordOutcome(destination, id, { ...facts, chain, evidence });
  if (last) await finishPartition(destination, id.run, id.partition, chain);
  return chain;
}

async function loadRows(context: TableContext, work: BatchWork): Promise<Loaded> {
  const { destination, ranges, shape, sink, source } = context;
  await query(
    source.session,
    `SET LOCAL enable_seqscan = ${work.bounds.from || work.bounds.to ? 'off' : 'on'}`,
  );
  const reader = source.copy(ranges.rows(shape.select, work.bounds, work.upper));
  const writer = sink.open();
  const pumped = await pump(context, reader, writer, work.id);
  try {
    await sink.settle();
    // Deferred constraints speak up here, and not at the commit, when nobody could tell what it was about.
    await query(destination, 'SET CONSTRAINTS ALL IMMEDIATE');
  } catch (error) {
    throw new RowsRefused(error);
  }
  return { ...pumped, quarantined: 0 };
}

/** Notes the failure in the ledger, under the same guard, unless the destination is out of reach. */
async function failed(context: TableContext, { id }: BatchWork, cause: unknown): Promise<LetheError> {
  const { destination, table } = context;
  const error = sanitize(cause, `loading ${tableText(table.plan.destination)}`);
  if (error.type !== 'Unreachable' && error.type !== 'RunSuperseded' && !destination.lost) {
    await withTransaction(destination, async () => {
      await fence(destination, table.epoch);
      await failBatch(destination, id, String(error.details.code ?? error.type));
    }).catch(() => undefined);
  }
  new BatchWatch(context, id).tell('failed', { rows: 0, bytes: 0, quarantined: 0 });
  return error;
}
