import type { Filter } from 'mongodb';
import type { BatchRecord, PartitionRecord, QuarantineRecord } from '../../ledger/records.js';
import type { BatchDocument, Ledger } from './store.js';

/** What the ledger says of a collection of a run. */
export interface CollectionSummary {
  /** Plan id. */
  readonly table: number;
  readonly rows: number;
  readonly quarantined: number;
  readonly bytes: number;
  readonly batches: number;
  readonly failed: number;
  readonly partitions: number;
  readonly partitionsDone: number;
  /** Outputs that equal their own input, by path. */
  readonly leaks: Readonly<Record<string, number>>;
}

/** Documents that no replay has got out of the quarantine. */
export const WAITING = { replayed: { $exists: false } } as const;

/** Counts of a run by collection, from its partitions, batches and quarantine. */
export async function summarize(
  ledger: Ledger,
  run: string,
  table?: number,
  partition?: number,
): Promise<CollectionSummary[]> {
  const of = { run, ...(table !== undefined && { table }), ...(partition !== undefined && { partition }) };
  const found = new Map<number, { -readonly [K in keyof CollectionSummary]: CollectionSummary[K] }>();
  const at = (id: number) => {
    const known = found.get(id) ?? {
      ...{
        table: id,
        rows: 0,
        quarantined: 0,
        bytes: 0,
        batches: 0,
        failed: 0,
        partitions: 0,
        partitionsDone: 0,
      },
      leaks: {},
    };
    found.set(id, known);
    return known;
  };
  for await (const { table: id, done } of ledger.partitions.find(of)) {
    const summary = at(id);
    summary.partitions += 1;
    if (done) summary.partitionsDone += 1;
  }
  for await (const batch of ledger.batches.find(of as Filter<BatchDocument>)) {
    const summary = at(batch.table);
    if (batch.state === 'failed') summary.failed += 1;
    if (batch.state !== 'committed') continue;
    summary.batches += 1;
    summary.rows += batch.rows ?? 0;
    summary.bytes += batch.bytes ?? 0;
    const leaks: Record<string, number> = { ...summary.leaks };
    for (const [path, count] of Object.entries(JSON.parse(batch.leaks ?? '{}') as Record<string, number>)) {
      leaks[path] = (leaks[path] ?? 0) + count;
    }
    summary.leaks = leaks;
  }
  for await (const { table: id } of ledger.quarantine.find({ ...of, ...WAITING })) at(id).quarantined += 1;
  return [...found.values()].sort((a, b) => a.table - b.table);
}

/** Quarantined documents by collection and reason, most first. */
export async function quarantineReasons(
  { quarantine }: Ledger,
  run: string,
): Promise<{ table: number; count: number; reason: string }[]> {
  const found = new Map<string, { table: number; count: number; reason: string }>();
  for await (const { table, message } of quarantine.find({ run, ...WAITING })) {
    const key = `${table}/${message}`;
    const known = found.get(key) ?? { table, count: 0, reason: message };
    known.count += 1;
    found.set(key, known);
  }
  return [...found.values()].sort((a, b) => b.count - a.count || a.table - b.table);
}

/** As a run's signature covers them, in ascending order. */
export async function partitionRecords({ partitions }: Ledger, run: string): Promise<PartitionRecord[]> {
  const found = await partitions.find({ run }).sort({ partition: 1 }).toArray();
  return found.map(({ partition, table, bounds, done, head, replay }) => ({
    ...{ partition, table, bounds, done, head },
    generation: 1,
    replay: replay ?? null,
  }));
}

/** Batches in the order of their chains, for audits. */
export async function batchStates(
  { batches }: Ledger,
  run: string,
): Promise<Pick<BatchRecord, 'partition' | 'batch' | 'state' | 'error'>[]> {
  const found = await batches.find({ run }).sort({ partition: 1, batch: 1 }).toArray();
  return found.map(({ partition, batch, state, error }) => ({
    partition,
    batch,
    state,
    error: error ?? null,
  }));
}

export async function quarantineRecords({ quarantine }: Ledger, run: string): Promise<QuarantineRecord[]> {
  const found = await quarantine.find({ run }).sort({ _id: 1 }).toArray();
  return found.map((entry) => {
    const { table, partition, batch, key, keyHash, code, constraint, column, rule, message } = entry;
    return {
      ...{ table, partition, batch, key, keyHash, code, constraint, column, rule, message },
      waitsForParent: false,
      replayed: entry.replayed !== undefined,
      outcome: entry.outcome ?? null,
      removed: 0,
    };
  });
}
