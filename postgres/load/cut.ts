import type { JobKeys } from '../../anonymize/keys.js';
import type { Bounds } from '../../ledger/types.js';
import type { ReadUnit, TablePlan } from '../../plan/plan.js';
import { type Epoch, fence } from '../fence.js';
import { quoteTable } from '../identifiers.js';
import { insertPartitions, nextPartition, readPartitions, type StoredPartition } from '../ledger/batches.js';
import { query, type Session, withTransaction } from '../session.js';
import { makeKeepTable } from './keep.js';
import { mustRestart, restartTable } from './restart.js';
import { sealBounds } from './seals.js';
import { keyFields } from './shape.js';
import { keyText } from './source.js';

/** What cutting a table needs. */
export interface CutTask {
  readonly run: string;
  readonly plan: TablePlan;
  readonly epoch: Epoch;
  /** Generation of the snapshot that `source` reads under. */
  readonly generation: number;
  readonly keys: JobKeys;
  /** Rows of a batch, about. */
  readonly batchRows: number;
}

/** A table's partitions, and the epoch under which they are to be written. */
export interface CutTable {
  readonly partitions: readonly StoredPartition[];
  readonly epoch: Epoch;
}

/** A partition is about so many batches: long enough that an activity's round trip does not count. */
const BATCHES_PER_PARTITION = 4;
/** Fewer, larger partitions in huge tables: a workflow's window and the ledger stay small. */
const MAX_PARTITIONS = 1_000;
/** Rows sampled for each partition. */
const SAMPLE = 200;
const PAGE_BYTES = 8_192;

/**
 * Cuts a table into partitions, once: a second call returns what the first made. Each unit is cut on its own, at
 * sampled quantiles of its key, or at block numbers where it has none. The cuts need not be even: batches count their
 * rows. Bounds are compared by the source server alone. A table without a key whose snapshot was lost meanwhile is
 * emptied and cut anew.
 *
 * @param source A session inside a transaction under the snapshot.
 * @param destination A session outside a transaction.
 */
export async function cutTable(task: CutTask, source: Session, destination: Session): Promise<CutTable> {
  const { run, plan, epoch, generation } = task;
  const finished = (found: readonly StoredPartition[]) =>
    found.length > 0 && !mustRestart(plan, found, generation);
  const known = await readPartitions(destination, run, plan.id);
  if (finished(known)) return { partitions: known, epoch };
  const cuts = await cutUnits(task, source);
  return withTransaction(destination, async () => {
    await fence(destination, epoch);
    const first = await nextPartition(destination, run);
    const raced = await readPartitions(destination, run, plan.id);
    if (finished(raced)) return { partitions: raced, epoch };
    const rows = cuts.map((bounds, i) => ({
      partition: first + i,
      bounds: sealBounds(task.keys, { run, partition: first + i }, bounds),
    }));
    const current = raced.length > 0 ? await restartTable(destination, run, plan, epoch) : epoch;
    if (plan.deleteMissing && raced.length === 0) await makeKeepTable(destination, run, plan);
    await insertPartitions(destination, run, plan.id, generation, rows);
    return { partitions: await readPartitions(destination, run, plan.id), epoch: current };
  });
}

async function cutUnits(task: CutTask, source: Session): Promise<Bounds[]> {
  const cuts: Bounds[] = [];
  for (const [unit, relation] of task.plan.units.entries()) {
    const points = await cutPoints(task, relation, source);
    for (let i = 0; i <= points.length; i++) {
      cuts.push({ unit, from: points[i - 1] ?? null, to: points[i] ?? null });
    }
  }
  return cuts;
}

/** Inner bounds of a unit's partitions, ascending as the source compares them. */
async function cutPoints(task: CutTask, unit: ReadUnit, source: Session): Promise<string[][]> {
  const { rows, pages } = await measure(unit, source);
  const wanted = Math.min(MAX_PARTITIONS, Math.floor(rows / (task.batchRows * BATCHES_PER_PARTITION)) + 1);
  if (wanted < 2 || pages < wanted) return [];
  if (task.plan.key.kind === 'ctid') {
    return Array.from({ length: wanted - 1 }, (_, i) => [String(Math.floor((pages * (i + 1)) / wanted))]);
  }
  return quantiles(task.plan, unit, wanted, rows, source);
}

/** Statistics may be old or missing: pages are measured, and rows estimated from the density of the sample. */
export async function measure(unit: ReadUnit, source: Session): Promise<{ rows: number; pages: number }> {
  const [row] = await query(source, 'SELECT pg_relation_size($1::oid::regclass) AS bytes', [unit.oid]);
  const pages = Math.ceil(Number(row?.bytes ?? 0) / PAGE_BYTES);
  const density = unit.pages > 0 ? unit.rows / unit.pages : 0;
  return { pages, rows: Math.max(unit.rows, density * pages) };
}

async function quantiles(
  plan: TablePlan,
  unit: ReadUnit,
  wanted: number,
  rows: number,
  source: Session,
): Promise<string[][]> {
  const key = keyFields(plan);
  const percent = Math.min(100, (100 * SAMPLE * wanted) / Math.max(1, rows));
  const found = await query(
    source,
    `WITH sample AS MATERIALIZED (
       SELECT ${key.join(', ')}, row_number() OVER (ORDER BY ${key.join(', ')}) AS lethe_place, count(*) OVER () AS lethe_size
       FROM ONLY ${quoteTable(unit)} TABLESAMPLE SYSTEM (${percent.toFixed(6)}) REPEATABLE (1)
     )
     SELECT ${key.map((column, i) => `${keyText(source, column)} AS k${i}`).join(', ')}
     FROM sample
     JOIN generate_series(1, ${wanted - 1}) AS lethe_cut (lethe_n) ON lethe_place = 1 + lethe_size * lethe_n / ${wanted}
     WHERE lethe_size >= ${wanted * 4}
     ORDER BY lethe_place`,
  );
  return found.map((row) => key.map((_, i) => row[`k${i}`]!));
}
