import { LetheError } from '../errors/errors.js';
import { type TableName, tableText } from '../plan/catalog.js';
import type { Ledger } from './ledger/store.js';

/** The run that owns a destination collection, if any. */
export async function ownerOf({ fences }: Ledger, table: TableName): Promise<string | undefined> {
  return (await fences.findOne({ _id: tableText(table) }))?.run;
}

/**
 * Makes a destination collection a run's own, if it is still `from`'s; false when somebody else was faster. Transactions
 * of the run before that are still open fail: what they fence with is changed.
 */
export async function takeOver(
  { fences, partitions }: Ledger,
  table: TableName,
  from: string | undefined,
  run: string,
): Promise<boolean> {
  if (from === run) return true;
  const _id = tableText(table);
  if (from === undefined) {
    try {
      await fences.insertOne({ _id, run });
    } catch (error) {
      if ((error as { code?: unknown }).code === 11000) return false;
      throw error;
    }
    return true;
  }
  const { matchedCount } = await fences.updateOne({ _id, run: from }, { $set: { run } });
  if (matchedCount > 0) await partitions.updateMany({ run: from }, { $inc: { writes: 1 } });
  return matchedCount > 0;
}

/** @throws LetheError `RunSuperseded` when a later run owns the collection. */
export async function checkOwner(ledger: Ledger, table: TableName, run: string): Promise<void> {
  if ((await ownerOf(ledger, table)) === run) return;
  throw new LetheError(
    'RunSuperseded',
    `Run ${run} no longer owns ${tableText(table)}: a later run took it over. Nothing more is written by this one.`,
  );
}

/** Lets go of a collection that is a run's; false when it is not. What that run still writes fails from then on. */
export async function release(
  { fences, partitions }: Ledger,
  table: TableName,
  run: string,
): Promise<boolean> {
  const { deletedCount } = await fences.deleteOne({ _id: tableText(table), run });
  if (deletedCount > 0) await partitions.updateMany({ run }, { $inc: { writes: 1 } });
  return deletedCount > 0;
}
