import { sanitize } from '../errors.js';
import type { RawId } from '../ids.js';
import { batchesOf, claimBatch, endPartition, failBatch } from '../ledger/batches.js';
import { openRange, sealRange } from '../ledger/seals.js';
import type { BatchDocument, PartitionDocument } from '../ledger/store.js';
import { type IdRange, UNCUT } from '../ranges.js';
import { loadBatch } from './batch.js';
import { type CollectionContext, refuseStopped } from './context.js';
import { cutsOf, nth, rangeOf } from './cut.js';
import { QuarantineBudget } from './quarantine.js';

/** Loads a partition from its last committed batch on. */
export async function loadPartition(context: CollectionContext, partition: PartitionDocument): Promise<void> {
  if (partition.done) return;
  const { ledger, keys } = context;
  const whole = rangeOf(keys, partition);
  const cuts = cutsOf(keys, partition);
  const budget = await QuarantineBudget.open(context);
  let previous = '';
  let from = whole.from;
  let number = 0;
  const known = new Map((await batchesOf(ledger, partition)).map((batch) => [batch.batch, batch]));
  for (;;) {
    refuseStopped(context);
    const before = known.get(number);
    const rest = { ...whole, from };
    const range = before ? boundsOf(context, before) : await nextRange(context, rest, cuts, number);
    if (before?.state === 'committed') previous = before.chain!;
    else previous = await runBatch(context, partition, { number, range, previous, budget });
    number += 1;
    if (sameBorder(range.to, whole.to)) break;
    from = range.to;
  }
  await endPartition(ledger, partition, previous);
}

interface Next {
  readonly number: number;
  readonly range: IdRange;
  readonly previous: string;
  readonly budget: QuarantineBudget;
}

async function runBatch(
  context: CollectionContext,
  partition: PartitionDocument,
  { number, range, previous, budget }: Next,
): Promise<string> {
  const { ledger, keys } = context;
  const { run, table } = partition;
  const owner = { run, partition: partition.partition, batch: number };
  const bounds = sealRange(keys, owner, range);
  const batch = await claimBatch(ledger, { ...owner, table, bounds });
  try {
    return await loadBatch(context, { batch, range: boundsOf(context, batch), previous, budget });
  } catch (error) {
    const safe = sanitize(error, 'loading documents');
    await failBatch(ledger, batch, safe.type).catch(() => undefined);
    throw safe;
  }
}

/**
 * Fixed from now on, never "the next so many documents". What a partition's cut has planned is taken, but where a batch
 * must not be larger, and at the end of all keys, where new documents come: there the source is asked.
 */
async function nextRange(
  { source, table, task }: CollectionContext,
  rest: IdRange,
  cuts: readonly RawId[] | undefined,
  number: number,
): Promise<IdRange> {
  if (UNCUT.has(rest.bracket)) return rest;
  if (cuts && task.mode === 'replace') {
    const planned = plannedRange(rest, cuts, number);
    if (planned) return planned;
  }
  const to = await nth(source, table, rest, task.execution.batchRows);
  return to ? { ...rest, to } : rest;
}

/**
 * What a partition's cut has planned for its batch of a number; undefined at the end of all keys, and where the batch
 * before ended elsewhere: a worker of another version may have begun the partition.
 *
 * @param rest What of the partition is not in a batch yet.
 */
export function plannedRange(rest: IdRange, cuts: readonly RawId[], number: number): IdRange | undefined {
  if (number > 0 && !sameBorder(rest.from, cuts[number - 1] ?? null)) return undefined;
  const to = cuts[number] ?? rest.to;
  return to ? { ...rest, to } : undefined;
}

function boundsOf({ keys }: CollectionContext, { run, partition, batch, bounds }: BatchDocument): IdRange {
  return openRange(keys, { run, partition, batch }, bounds);
}

function sameBorder(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}
