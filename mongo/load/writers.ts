import type { BatchDocument } from '../ledger/store.js';
import { type CollectionContext, targetOf } from './context.js';
import { InsertWriter } from './insertWriter.js';
import { RecordedIds } from './recordedIds.js';
import { TransactionWriter } from './transactionWriter.js';
import { UpsertWriter } from './upsertWriter.js';
import type { Writer } from './write.js';

/** The writer that the job's mode and the server call for. */
export async function openWriter(context: CollectionContext, batch: BatchDocument): Promise<Writer> {
  const { mode, documents } = context.task;
  if (mode === 'upsert' && documents.transactions) return new TransactionWriter(context, batch);
  const recorded = await RecordedIds.open(context, batch);
  if (mode === 'upsert') return new UpsertWriter(targetOf(context), recorded);
  const writer = new InsertWriter(targetOf(context), recorded);
  await writer.removeFormer();
  return writer;
}
