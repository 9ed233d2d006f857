import type { JobKeys } from '../../anonymize/keys.js';
import type { ExecutionPlan, TablePlan } from '../../plan/plan.js';
import type { Connection } from '../connection.js';
import { idOf, type RawId } from '../ids.js';
import { openRange, sealRange } from '../ledger/seals.js';
import type { Ledger, PartitionDocument } from '../ledger/store.js';
import { BRACKETS, type Bracket, type IdRange, rangeFilter, UNCUT } from '../ranges.js';
import { sourceOf } from './context.js';

/** Partitions of one collection are numbered from its plan id times this. */
export const PARTITIONS_PER_TABLE = 100_000;
/** Partitions of one bracket at most. */
const MOST = 4_096;
/** Above so many documents, the borders come from a sample: counting over an index grows with what is skipped. */
const SAMPLED_ABOVE = 2_000_000;

export interface CutTask {
  readonly run: string;
  readonly table: TablePlan;
  readonly keys: JobKeys;
  readonly execution: ExecutionPlan;
}

/**
 * Cuts a collection into partitions by ranges of `_id`, once: what the ledger has of an earlier attempt stays. Ranges
 * do not cross from one type to another, since queries by range do not.
 */
export async function cutCollection(
  task: CutTask,
  source: Connection,
  ledger: Ledger,
): Promise<PartitionDocument[]> {
  const { run, table, keys } = task;
  const known = await partitionsOf(ledger, run, table.id);
  if (known.length > 0 && (await isWhole(ledger, run, table.id))) return known;
  // An attempt that ended in the middle of writing them: nothing was loaded by them yet.
  await ledger.partitions.deleteMany({ run, table: table.id });
  const ranges = await cut(task, source);
  const documents = ranges.map((range, index): PartitionDocument => {
    const partition = table.id * PARTITIONS_PER_TABLE + index;
    return {
      _id: `${run}/${partition}`,
      ...{ run, partition, table: table.id },
      bounds: sealRange(keys, { run, partition }, range),
      done: false,
      head: null,
      writes: 0,
    };
  });
  if (documents.length > 0) await ledger.partitions.insertMany(documents);
  await ledger.runs.updateOne({ _id: run }, { $addToSet: { cut: table.id } });
  return documents;
}

/** A collection without documents has no partition, and is cut all the same. */
async function isWhole({ runs }: Ledger, run: string, table: number): Promise<boolean> {
  return (await runs.findOne({ _id: run, cut: table })) !== null;
}

export function partitionsOf(
  { partitions }: Ledger,
  run: string,
  table: number,
): Promise<PartitionDocument[]> {
  return partitions.find({ run, table }).sort({ partition: 1 }).toArray();
}

export function rangeOf(keys: JobKeys, { run, partition, bounds }: PartitionDocument): IdRange {
  return openRange(keys, { run, partition }, bounds);
}

async function cut({ table, execution }: CutTask, source: Connection): Promise<IdRange[]> {
  const ranges: IdRange[] = [];
  for (const bracket of BRACKETS) {
    const whole: IdRange = { bracket, from: null, to: null };
    const first = await sourceOf({ source, table }).findOne(rangeFilter(whole), { projection: { _id: 1 } });
    if (first === null) continue;
    const borders = UNCUT.has(bracket) ? [] : await bordersOf(source, table, bracket, execution);
    const edges = [null, ...borders, null];
    for (let at = 0; at + 1 < edges.length; at++) {
      ranges.push({ bracket, from: edges[at]!, to: edges[at + 1]! });
    }
  }
  return ranges;
}

/** The `_id`s at which partitions begin, but for the first, in ascending order. */
async function bordersOf(
  source: Connection,
  table: TablePlan,
  bracket: Bracket,
  { batchRows, concurrency }: ExecutionPlan,
): Promise<RawId[]> {
  const filter = rangeFilter({ bracket, from: null, to: null });
  const collection = sourceOf({ source, table });
  if (table.rows <= batchRows) return [];
  const rows = await collection.countDocuments(filter);
  // Enough partitions to share out, and none below a batch.
  const wanted = Math.min(
    MOST,
    Math.floor(rows / batchRows),
    Math.max(concurrency * 4, Math.ceil(rows / (batchRows * 8))),
  );
  if (wanted <= 1) return [];
  if (rows > SAMPLED_ABOVE) return sampled(source, table, bracket, wanted);
  const borders: RawId[] = [];
  const step = rows / wanted;
  let from: RawId | null = null;
  let at = 0;
  for (let border = 1; border < wanted; border++) {
    const to = Math.round(border * step);
    const found = await nth(source, table, { bracket, from, to: null }, to - at);
    if (!found) break;
    borders.push(found);
    from = found;
    at = to;
  }
  return borders;
}

/** The `_id` of the document that comes `skip` after the first of a range. */
export async function nth(
  source: Connection,
  table: TablePlan,
  range: IdRange,
  skip: number,
): Promise<RawId | undefined> {
  const found = (await sourceOf({ source, table })
    .find(rangeFilter(range), { projection: { _id: 1 }, raw: true })
    .sort({ _id: 1 })
    .skip(skip)
    .limit(1)
    .toArray()) as unknown as Uint8Array[];
  return found[0] && idOf(found[0]);
}

async function sampled(
  source: Connection,
  table: TablePlan,
  bracket: Bracket,
  wanted: number,
): Promise<RawId[]> {
  const each = 20;
  const found = (await sourceOf({ source, table })
    .aggregate(
      [
        { $sample: { size: wanted * each } },
        { $match: rangeFilter({ bracket, from: null, to: null }) },
        { $project: { _id: 1 } },
        { $sort: { _id: 1 } },
      ],
      { raw: true, allowDiskUse: true },
    )
    .toArray()) as unknown as Uint8Array[];
  const ids = found.flatMap((document) => idOf(document) ?? []);
  const borders = Array.from(
    { length: wanted - 1 },
    (_, at) => ids[Math.floor(((at + 1) * ids.length) / wanted)],
  );
  return borders.filter((id, at): id is RawId => id !== undefined && !sameId(id, borders[at - 1]));
}

function sameId(a: RawId, b: RawId | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
