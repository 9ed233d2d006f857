import { jobKeys } from '../../anonymize/keys.js';
import { withSealing } from '../../anonymize/sealing.js';
import { LetheError } from '../../errors/errors.js';
import { countPartitions, readPartition } from '../ledger/batches.js';
import { openSession, query, type Session } from '../session.js';
import { type TableContext, type TaskContext, tableContext } from './context.js';
import { cutTable } from './cut.js';
import { loadPartition } from './partition.js';
import { replayTables } from './replay.js';
import { Source } from './source.js';
import type { LoadProgress, LoadResult, LoadTable, PartitionTask } from './task.js';

/**
 * Loads partitions, one after the other, over one session to the source and one to the destination. What earlier
 * attempts committed is not done again.
 *
 * @param report Called after every chunk of about a megabyte.
 * @param signal Destroys both connections; what was not committed is rolled back by the servers.
 * @throws LetheError `RunSuperseded`, `SnapshotLost`, `SourceChanged`, `QuarantineLimit`, `Unreachable`, …
 */
export async function loadPartitions(
  task: PartitionTask,
  report: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<LoadResult> {
  const keys = withSealing(
    jobKeys(task.jobKey, task.consistency === 'run' ? task.run : undefined),
    task.sealing,
  );
  const prefix = `lethe:${task.run}/${unitOf(task)}/`;
  const { source, destination } = await openBoth(task, `${prefix}${task.attempt}`, signal);
  try {
    const context: TaskContext = {
      task,
      keys,
      source,
      destination,
      report,
      guard: { staleAfterMs: task.staleAfterMs, prefix },
      written: { rows: 0, bytes: 0 },
      clock: { transformMs: 0 },
    };
    if (task.work.kind === 'rows') return await replayTables(context, task.work);
    const done =
      task.work.kind === 'partitions'
        ? await loadGiven(context, task.work.partitions)
        : await loadTables(context, task.tables);
    return await countPartitions(destination, task.run, done);
  } finally {
    await Promise.all([source.close(), destination.close()]);
  }
}

async function loadGiven(context: TaskContext, partitions: readonly number[]): Promise<number[]> {
  const { task, destination } = context;
  const tables = new Map<number, TableContext>();
  for (const number of partitions) {
    const stored = await readPartition(destination, task.run, number);
    const table = task.tables.find(({ plan }) => plan.id === stored?.table);
    if (!stored || !table)
      throw new LetheError(
        'Internal',
        `Partition ${number} is not in the ledger or its table not in the task.`,
      );
    const known = tables.get(stored.table) ?? (await tableContext(context, table));
    tables.set(stored.table, known);
    await loadPartition(known, stored);
  }
  return [...partitions];
}

async function loadTables(context: TaskContext, tables: readonly LoadTable[]): Promise<number[]> {
  const { task, keys, source, destination } = context;
  const done: number[] = [];
  for (const table of tables) {
    const { partitions, epoch } = await cutTable(
      {
        run: task.run,
        plan: table.plan,
        epoch: table.epoch,
        generation: task.snapshot.generation,
        keys,
        batchRows: task.execution.batchRows,
      },
      source.session,
      destination,
    );
    const loader = await tableContext(context, { ...table, epoch });
    for (const partition of partitions) await loadPartition(loader, partition);
    done.push(...partitions.map(({ partition }) => partition));
  }
  return done;
}

async function openBoth(
  task: PartitionTask,
  applicationName: string,
  signal: AbortSignal,
): Promise<{ source: Source; destination: Session }> {
  const [source, destination] = await Promise.allSettled([
    Source.open({ ...task.source, role: 'source', applicationName, signal }, task.snapshot.ids),
    openDestination(task, applicationName, signal),
  ]);
  if (source.status === 'fulfilled' && destination.status === 'fulfilled') {
    return { source: source.value, destination: destination.value };
  }
  if (source.status === 'fulfilled') await source.value.close();
  if (destination.status === 'fulfilled') await destination.value.close();
  throw source.status === 'rejected' ? source.reason : (destination as PromiseRejectedResult).reason;
}

async function openDestination(
  task: PartitionTask,
  applicationName: string,
  signal: AbortSignal,
): Promise<Session> {
  const session = await openSession({ ...task.destination, role: 'destination', applicationName, signal });
  try {
    if (task.replicaRole) await query(session, 'SET session_replication_role = replica');
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** What the sessions of all attempts at this work have in their names. */
function unitOf({ work, tables }: PartitionTask): string {
  if (work.kind === 'partitions') return String(work.partitions[0] ?? 0);
  return `${work.kind === 'rows' ? 'r' : 't'}${tables[0]?.plan.id ?? 0}`;
}
