import type { NewReplay } from '../../ledger/types.js';
import type { Ledger } from './store.js';

/** The number of the replay that this workflow execution began, if it did. */
export async function findReplay(
  { replays }: Ledger,
  run: string,
  execution: string,
): Promise<number | undefined> {
  return (await replays.findOne({ run, execution }))?.n;
}

/** Opens a run again for a replay, and returns the replay's number. The report of before is kept beside it. */
export async function insertReplay({ runs, replays }: Ledger, replay: NewReplay): Promise<number> {
  const { run, namespace, workflowId, execution, plan, jobText } = replay;
  const before = await runs.findOne({ _id: run });
  const n = 1 + (await replays.countDocuments({ run }));
  await replays.insertOne({
    _id: `${run}/${n}`,
    ...{ run, n, workflowId, execution, plan: JSON.stringify(plan), jobText },
    ...(before?.report !== undefined && { report: before.report }),
    ...(before?.signature !== undefined && { signature: before.signature }),
    ...(before?.publicKey !== undefined && { publicKey: before.publicKey }),
  });
  await runs.updateOne(
    { _id: run },
    { $set: { state: 'loading', namespace, workflowId, seenAt: new Date() }, $unset: { endedAt: 1 } },
  );
  return n;
}

/** The signature of the report that a replay follows; undefined where that was never signed. */
export async function previousSignature(
  { replays }: Ledger,
  run: string,
  n: number,
): Promise<string | undefined> {
  const [found] = await replays
    .find({ run, n: { $lte: n }, signature: { $exists: true } })
    .sort({ n: -1 })
    .limit(1)
    .toArray();
  return found?.signature;
}
