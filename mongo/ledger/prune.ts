import { isOpen } from '../../ledger/states.js';
import type { PruneOptions } from '../../ledger/types.js';
import { listRuns } from './runs.js';
import type { Ledger } from './store.js';

/** Runs of a job that are looked through. */
const LOOKED_AT = 100_000;

/**
 * The runs of a job that may go, the oldest first: ended, older than what is kept, no collection of the destination
 * theirs any more, and not the newest complete one.
 */
export async function prunableRuns(ledger: Ledger, options: PruneOptions): Promise<string[]> {
  const { job, keepSeconds = 0, keepRuns = 0 } = options;
  const runs = await listRuns(ledger, { job, limit: LOOKED_AT });
  const owners = new Set((await ledger.fences.find().toArray()).map(({ run }) => run));
  const newest = runs.find(({ state }) => state === 'complete')?.run;
  const before = Date.now() - keepSeconds * 1_000;
  return runs
    .filter(
      ({ run, state, startedAt, endedAt }, place) =>
        !isOpen(state) &&
        run !== newest &&
        !owners.has(run) &&
        place >= keepRuns &&
        Date.parse(endedAt ?? startedAt) < before,
    )
    .map(({ run }) => run)
    .sort();
}

/** Removes runs with all that the ledger has of them; the run itself last, so that it can be done again. */
export async function pruneRuns(ledger: Ledger, pruned: readonly string[]): Promise<void> {
  const { partitions, batches, ids, evidence, quarantine, replays, checks, runs } = ledger;
  const of = { run: { $in: [...pruned] } };
  await Promise.all([
    ...[partitions.deleteMany(of), batches.deleteMany(of), ids.deleteMany(of), evidence.deleteMany(of)],
    ...[quarantine.deleteMany(of), replays.deleteMany(of), checks.deleteMany(of)],
  ]);
  await runs.deleteMany({ _id: { $in: [...pruned] } });
}
