import { tableText } from '../../plan/catalog.js';
import { checkOwner } from '../fence.js';
import { checkAttempt, commitBatch } from '../ledger/batches.js';
import { type BatchWork, loadChunk, Tally } from './chunk.js';
import { type CollectionContext, refuseStopped, selection, sourceOf } from './context.js';
import { pushBatch } from './push.js';
import { chunksOf } from './read.js';
import type { Writer } from './write.js';
import { openWriter } from './writers.js';

/** Reads, transforms and writes the documents of a batch, and commits it; returns its link in the chain. */
export async function loadBatch(context: CollectionContext, work: BatchWork): Promise<string> {
  const { task, table, ledger } = context;
  await checkOwner(ledger, table.destination, task.run);
  await work.budget.forget(work.batch);
  const writer = await openWriter(context, work.batch);
  try {
    return await loadInto(context, work, writer);
  } finally {
    await writer.close();
  }
}

async function loadInto(context: CollectionContext, work: BatchWork, writer: Writer): Promise<string> {
  const { table, ledger, task, keys } = context;
  const began = performance.now();
  const tally = new Tally(task.execution.evidence === 'row' ? keys.evidence : undefined);
  if (!(await pushBatch(context, work, writer, tally))) await readAndWrite(context, work, writer, tally);
  refuseStopped(context);
  const late = await writer.finish();
  await work.budget.add(work.batch, late.refused);
  const outcome = tally.outcome(late.refused.length);
  const chain = await writer.commit((session) =>
    commitBatch(ledger, work.batch, outcome, work.previous, session),
  );
  context.progress({
    partition: work.batch.partition,
    batch: work.batch.batch,
    rows: outcome.rows,
    bytes: outcome.bytes,
    ended: {
      table: tableText(table.source),
      state: 'committed',
      ...{ rows: outcome.rows, bytes: outcome.bytes, quarantined: outcome.quarantined },
      seconds: (performance.now() - began) / 1_000,
      transformSeconds: tally.transformSeconds,
    },
  });
  return chain;
}

async function readAndWrite(
  context: CollectionContext,
  work: BatchWork,
  writer: Writer,
  tally: Tally,
): Promise<void> {
  const { task, table, ledger } = context;
  const cursor = sourceOf(context).find(selection(table, work.range), {
    raw: true,
    sort: { _id: 1 },
    batchSize: 2_000,
  });
  try {
    for await (const documents of chunksOf(cursor)) {
      refuseStopped(context);
      await checkAttempt(ledger, work.batch);
      await checkOwner(ledger, table.destination, task.run);
      await loadChunk(context, work, writer, documents, tally);
      const { rows, bytes } = tally;
      context.progress({ partition: work.batch.partition, batch: work.batch.batch, rows, bytes });
    }
  } finally {
    await cursor.close().catch(() => undefined);
  }
}
