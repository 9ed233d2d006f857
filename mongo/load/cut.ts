import type { Collection } from 'mongodb';
import type { JobKeys } from '../../anonymize/keys.js';
import type { ExecutionPlan, TablePlan } from '../../plan/plan.js';
import type { Connection } from '../connection.js';
import { idOf, type RawId } from '../ids.js';
import { openIds, openRange, sealIds, sealRange } from '../ledger/seals.js';
import type { Ledger, PartitionDocument } from '../ledger/store.js';
import { BRACKETS, type Bracket, type IdRange, rangeFilter, UNCUT } from '../ranges.js';
import { sourceOf } from './context.js';
import { batchBorders, walkIds } from './walk.js';

/** Partitions of one collection are numbered from its plan id times this. */
export const PARTITIONS_PER_TABLE = 100_000;
/** Partitions of one bracket at most. */
const MOST = 4_096;
/** Above so many documents, the borders come from a sample: a pass over the index grows with them. */
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
 *
 * @param sampledAbove Documents above which the borders come from a sample. Default 2,000,000.
 */
export async function cutCollection(
  task: CutTask,
  source: Connection,
  ledger: Ledger,
  sampledAbove = SAMPLED_ABOVE,
): Promise<PartitionDocument[]> {
  const { run, table, keys } = task;
  const known = await partitionsOf(ledger, run, table.id);
  if (known.length > 0 && (await isWhole(ledger, run, table.id))) return known;
  // An attempt that ended in the middle of writing them: nothing was loaded by them yet.
  await ledger.partitions.deleteMany({ run, table: table.id });
  const pieces = await cut(task, source, sampledAbove);
  const documents = pieces.map(({ range, cuts }, index): PartitionDocument => {
    const partition = table.id * PARTITIONS_PER_TABLE + index;
    return {
      _id: `${run}/${partition}`,
      ...{ run, partition, table: table.id },
      bounds: sealRange(keys, { run, partition }, range),
      ...(cuts && { cuts: sealIds(keys, { run, partition }, cuts) }),
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

/** Where a partition's batches end, but for the last, as they were planned. */
export function cutsOf(keys: JobKeys, { run, partition, cuts }: PartitionDocument): RawId[] | undefined {
  return cuts === undefined ? undefined : openIds(keys, { run, partition }, cuts);
}

export function rangeOf(keys: JobKeys, { run, partition, bounds }: PartitionDocument): IdRange {
  return openRange(keys, { run, partition }, bounds);
}

/** A partition, and where its batches end, but for the last; undefined where that is looked for as each begins. */
interface Piece {
  readonly range: IdRange;
  readonly cuts?: readonly RawId[];
}

async function cut({ table, execution }: CutTask, source: Connection, most: number): Promise<Piece[]> {
  const collection = sourceOf({ source, table });
  const walked = table.rows > most ? undefined : await walkIds(collection, execution.batchRows, most);
  const pieces: Piece[] = [];
  for (const bracket of BRACKETS) {
    const seen = walked?.brackets.get(bracket);
    if (seen) {
      const cuttable =
        !UNCUT.has(bracket) && (await holdsAll(collection, bracket, seen.rows, walked!.unclear));
      const borders = cuttable ? batchBorders(seen, execution.batchRows) : [];
      pieces.push(...group(bracket, borders, execution));
    } else if (!walked || walked.unclear) {
      const whole: IdRange = { bracket, from: null, to: null };
      if ((await collection.findOne(rangeFilter(whole), { projection: { _id: 1 } })) === null) continue;
      const borders = walked || UNCUT.has(bracket) ? [] : await sampled(source, table, bracket, execution);
      pieces.push(...rangesOf(bracket, borders).map((range) => ({ range })));
    }
  }
  return pieces;
}

/** A server that does not compare UUIDs with other bytes has them in `rest`; then the binary ones are not cut. */
async function holdsAll(
  collection: Collection,
  bracket: Bracket,
  rows: number,
  unclear: boolean,
): Promise<boolean> {
  if (bracket !== 'binary' || !unclear) return true;
  return (await collection.countDocuments(rangeFilter({ bracket, from: null, to: null }))) >= rows;
}

/** Enough partitions to share out, of whole batches. */
function group(bracket: Bracket, borders: readonly RawId[], { concurrency }: ExecutionPlan): Piece[] {
  const batches = borders.length + 1;
  const wanted = Math.min(MOST, batches, Math.max(concurrency * 4, Math.ceil(batches / 8)));
  const starts = Array.from({ length: wanted + 1 }, (_, at) => Math.floor((at * batches) / wanted));
  const edges = starts.slice(1, -1).map((start) => borders[start - 1]!);
  return rangesOf(bracket, edges).map((range, at) => ({
    range,
    cuts: borders.slice(starts[at]!, starts[at + 1]! - 1),
  }));
}

function rangesOf(bracket: Bracket, borders: readonly RawId[]): IdRange[] {
  const edges = [null, ...borders, null];
  return edges.slice(1).map((to, at) => ({ bracket, from: edges[at]!, to }));
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

/** The `_id`s at which partitions begin, but for the first, in ascending order: about. */
async function sampled(
  source: Connection,
  table: TablePlan,
  bracket: Bracket,
  { batchRows, concurrency }: ExecutionPlan,
): Promise<RawId[]> {
  const rows = await sourceOf({ source, table }).countDocuments(
    rangeFilter({ bracket, from: null, to: null }),
  );
  const wanted = Math.min(
    MOST,
    Math.floor(rows / batchRows),
    Math.max(concurrency * 4, Math.ceil(rows / (batchRows * 8))),
  );
  if (wanted <= 1) return [];
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
