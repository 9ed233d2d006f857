import type { ClientSession } from 'mongodb';
import { LetheError } from '../../errors/errors.js';
import { chainLink } from '../../ledger/chain.js';
import { writeEvidence } from './evidence.js';
import type { BatchDocument, Ledger, PartitionDocument } from './store.js';

/** The batches of a partition, in order. */
export function batchesOf(
  { batches }: Ledger,
  { run, partition }: PartitionDocument,
): Promise<BatchDocument[]> {
  return batches.find({ run, partition }).sort({ batch: 1 }).toArray();
}

/** Claims a batch with its bounds, or claims one again that is not committed: each attempt has a number of its own. */
export async function claimBatch(
  { batches }: Ledger,
  batch: Pick<BatchDocument, 'run' | 'partition' | 'batch' | 'table' | 'bounds'>,
): Promise<BatchDocument> {
  const { bounds, ...rest } = batch;
  const _id = `${rest.run}/${rest.partition}/${rest.batch}`;
  const claimed = await batches.findOneAndUpdate(
    { _id, state: { $ne: 'committed' } },
    { $inc: { attempt: 1 }, $set: { state: 'claimed', claimedAt: new Date() } },
    { returnDocument: 'after' },
  );
  if (claimed) return claimed;
  const fresh: BatchDocument = { _id, ...rest, bounds, state: 'claimed', attempt: 1, claimedAt: new Date() };
  try {
    await batches.insertOne(fresh);
  } catch (error) {
    if ((error as { code?: unknown }).code === 11000) throw overtaken();
    throw error;
  }
  return fresh;
}

/** @throws LetheError `Unreachable` when a later attempt has claimed the batch, or committed it. */
export async function checkAttempt({ batches }: Ledger, { _id, attempt }: BatchDocument): Promise<void> {
  const found = await batches.findOne({ _id }, { projection: { attempt: 1, state: 1 } });
  if (found?.attempt !== attempt || found.state !== 'claimed') throw overtaken();
}

export interface BatchOutcome {
  readonly rows: number;
  readonly quarantined: number;
  readonly bytes: number;
  readonly rules: Readonly<Record<string, number>>;
  readonly leaks: Readonly<Record<string, number>>;
  readonly sourceDigest: string;
  readonly outputDigest: string;
  /** Under `evidence: row`: 16 bytes for each document that was read. */
  readonly evidence?: Buffer;
}

/** Commits a batch, once, with its link in the partition's chain; returns the link. */
export async function commitBatch(
  ledger: Ledger,
  batch: BatchDocument,
  { evidence, ...outcome }: BatchOutcome,
  previous: string,
  session?: ClientSession,
): Promise<string> {
  const committedAt = new Date();
  const { run, partition, table, bounds } = batch;
  const chain = chainLink(previous, {
    ...{ run, partition, batch: batch.batch, table, bounds },
    generation: 1,
    ...outcome,
    evidenceDigest: evidence ? await writeEvidence(ledger, batch, evidence) : '',
    committedAt: committedAt.toISOString(),
  });
  const { rules, leaks, ...counts } = outcome;
  const { matchedCount } = await ledger.batches.updateOne(
    { _id: batch._id, attempt: batch.attempt, state: 'claimed' },
    {
      $set: {
        ...counts,
        state: 'committed',
        rules: JSON.stringify(rules),
        leaks: JSON.stringify(leaks),
        ...{ chain, committedAt },
      },
    },
    { ...(session && { session }) },
  );
  if (matchedCount === 0) throw overtaken();
  return chain;
}

/** Notes why a batch failed; a later attempt, or a committed one, is left as it is. */
export async function failBatch({ batches }: Ledger, batch: BatchDocument, error: string): Promise<void> {
  await batches.updateOne(
    { _id: batch._id, attempt: batch.attempt, state: 'claimed' },
    { $set: { state: 'failed', error } },
  );
}

export async function endPartition(
  { partitions }: Ledger,
  { _id }: Pick<PartitionDocument, '_id'>,
  head: string,
): Promise<void> {
  await partitions.updateOne({ _id }, { $set: { done: true, head } });
}

function overtaken(): LetheError {
  return new LetheError(
    'Unreachable',
    'Another attempt of this batch is under way or has ended; this one stops.',
  );
}
