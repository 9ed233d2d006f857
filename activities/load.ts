import { activityInfo, heartbeat } from '@temporalio/activity';
import { parseJobKey } from '../anonymize/keys.js';
import { LetheError } from '../errors/errors.js';
import type { RunRef } from '../ledger/types.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import { readPartition } from '../postgres/ledger/batches.js';
import { currentSnapshots, type HeldSnapshot, loseSnapshot } from '../postgres/ledger/snapshots.js';
import { cutTable as cut } from '../postgres/load/cut.js';
import type { LoadProgress, LoadResult, PartitionTask } from '../postgres/load/task.js';
import { silenceFor } from '../postgres/saga/guards.js';
import { underSnapshot } from '../postgres/snapshot.js';
import type { Dependencies } from './dependencies.js';
import { epochsOf } from './epochs.js';
import { batchMetrics } from './metrics.js';
import { heartbeatTimeout, type OpenRun, withRun } from './run.js';
import { sealingOf } from './sealing.js';
import { withSourceAt } from './source.js';

/** Loads one partition from its last committed batch on. */
export async function anonymizePartition(
  deps: Dependencies,
  ref: RunRef,
  partition: number,
): Promise<LoadResult> {
  return withRun(deps, ref, async (run) => {
    const found = await readPartition(run.session, ref.run, partition);
    if (!found)
      throw new LetheError('Internal', `The ledger has no partition ${partition} of run ${ref.run}.`);
    return load(deps, run, [found.table], { kind: 'partitions', partitions: [partition] });
  });
}

/** Cuts and loads several small tables, one after the other over the same two connections. */
export async function anonymizeTables(
  deps: Dependencies,
  ref: RunRef,
  tables: number[],
): Promise<LoadResult> {
  return withRun(deps, ref, (run) => load(deps, run, tables, { kind: 'tables' }));
}

/** Loads with a task of its own; a snapshot that proves to be gone is marked so for everybody. */
export async function load(
  deps: Dependencies,
  run: OpenRun,
  tables: readonly number[],
  work: PartitionTask['work'],
): Promise<LoadResult> {
  const task = await loadTask(deps, run, tables, work);
  const metrics = batchMetrics(run.ref.job);
  const progress = ({ ended }: LoadProgress) => {
    heartbeat();
    if (ended) metrics(ended);
  };
  return tellingLoss(run, task.source.url, task.snapshot.ids, () => deps.load(task, progress, run.signal));
}

/** Cuts a table into partitions under the snapshot, once; the ids of those that are not done. */
export async function cutTable(deps: Dependencies, ref: RunRef, table: number): Promise<number[]> {
  return withRun(deps, ref, async (run) => {
    const plan = tableOf(run.pins.plan, table);
    const { of } = await epochsOf(run);
    const snapshots = await snapshotsOf(run);
    const { batchRows } = run.pins.plan.execution;
    const { generation } = snapshots[0];
    const task = { run: ref.run, plan, epoch: of(plan), generation, keys: run.keys, batchRows };
    const ids = snapshots.map(({ exportedId }) => exportedId);
    const url = await deps.resolve(run.pins.source.url);
    const { partitions } = await tellingLoss(run, url, ids, () =>
      withSourceAt(url, run, (source) => underSnapshot(source, ids, () => cut(task, source, run.session))),
    );
    return partitions.filter(({ done }) => !done).map(({ partition }) => partition);
  });
}

/** Who finds the snapshot gone marks it, so that nobody else tries it, and a holder opens a new one. */
export async function tellingLoss<T>(
  run: OpenRun,
  sourceUrl: string,
  snapshots: readonly string[],
  body: () => Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof LetheError && error.type === 'SnapshotLost') {
      // No other database takes the snapshot either: then it is this worker that does not fit, and nothing is lost.
      await withSourceAt(sourceUrl, run, async () => undefined);
      for (const id of snapshots) await loseSnapshot(run.session, run.ref.run, id);
    }
    throw error;
  }
}

/** What a thread needs; every secret in it was resolved here and stays in this process. */
export async function loadTask(
  deps: Dependencies,
  run: OpenRun,
  tables: readonly number[],
  work: PartitionTask['work'],
): Promise<PartitionTask> {
  const { pins, ref, session } = run;
  const { plan } = pins;
  const epochs = await epochsOf(run);
  const snapshots = await snapshotsOf(run);
  const owned = (table: TablePlan) => ({ plan: table, epoch: epochs.of(table) });
  return {
    run: ref.run,
    attempt: activityInfo().attempt,
    source: { url: await deps.resolve(pins.source.url), encoding: pins.source.encoding },
    destination: { url: run.destinationUrl },
    jobKey: parseJobKey(await deps.resolve(ref.key)),
    ...(await sealingOf(deps, pins)),
    consistency: plan.consistency,
    mode: plan.mode,
    execution: plan.execution,
    runTime: pins.runTime,
    snapshot: { generation: snapshots[0].generation, ids: snapshots.map(({ exportedId }) => exportedId) },
    tables: tables.map((id) => owned(tableOf(plan, id))),
    ...(work.kind === 'rows' && { related: plan.tables.map(owned) }),
    work,
    // In the replica role foreign keys are not checked; single rows are written with all of them in force.
    replicaRole: work.kind !== 'rows' && (await silenceFor(session, plan.mode)) === 'replica',
    // A later attempt begins when the one before was silent for the whole time.
    staleAfterMs: Math.ceil(heartbeatTimeout() / 2),
  };
}

/** The table of a plan by its id. */
export function tableOf(plan: Plan, id: number): TablePlan {
  const table = plan.tables.find((candidate) => candidate.id === id);
  if (!table) throw new LetheError('Internal', `The plan has no table ${id}.`);
  return table;
}

/** @throws LetheError `SnapshotLost` while none is held: a holder opens a new one. */
export async function snapshotsOf({ session, ref }: OpenRun): Promise<[HeldSnapshot, ...HeldSnapshot[]]> {
  const [first, ...more] = await currentSnapshots(session, ref.run);
  if (first) return [first, ...more];
  throw new LetheError(
    'SnapshotLost',
    'No snapshot of the source is held at the moment; a holder opens a new one.',
  );
}
