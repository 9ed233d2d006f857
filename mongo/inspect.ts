import type { Document, Filter } from 'mongodb';
import type { JobKeys } from '../anonymize/keys.js';
import type { TableName } from '../plan/catalog.js';
import type { TablePlan } from '../plan/plan.js';
import type { Connection } from './connection.js';
import { idValue, type RawId } from './ids.js';
import { openRange } from './ledger/seals.js';
import type { Ledger } from './ledger/store.js';
import { selection, whereOf } from './load/context.js';
import { chunksOf } from './load/read.js';
import { queryPath } from './paths.js';

/** Ranges that a sample is taken from. */
const RANGES = 32;
/** Documents that are looked up at once. */
const AT_ONCE = 1_000;

/** The documents of a collection that the job selects, some megabytes at a time. */
export async function* sourceDocuments(
  { client }: Connection,
  { source, collection }: TablePlan,
): AsyncGenerator<Uint8Array[]> {
  const filter = collection?.where === undefined ? {} : whereOf(collection.where);
  yield* chunksOf(client.db(source.schema).collection(source.name).find(filter, { raw: true }));
}

/** About `size` documents of the source, from the beginnings of ranges all over the collection. */
export async function* sampledSource(
  { client }: Connection,
  { keys, ledger, run }: { readonly keys: JobKeys; readonly ledger: Ledger; readonly run: string },
  table: TablePlan,
  size: number,
): AsyncGenerator<Uint8Array[]> {
  // To a server, a limit of 0 is none.
  if (size <= 0) return;
  const of = { run, table: table.id, replay: { $exists: false } };
  const partitions = await ledger.partitions.find(of).sort({ partition: 1 }).toArray();
  const every = Math.ceil(partitions.length / RANGES);
  const chosen = partitions.filter((_, at) => at % every === 0);
  const each = Math.ceil(size / Math.max(1, chosen.length));
  const collection = client.db(table.source.schema).collection(table.source.name);
  for (const { partition, bounds } of chosen) {
    const range = openRange(keys, { run, partition }, bounds);
    const cursor = collection.find(selection(table, range), { raw: true, sort: { _id: 1 } }).limit(each);
    yield* chunksOf(cursor);
  }
}

/**
 * All documents of a collection of the destination, or those with some `_id`s.
 *
 * @param names Fields at the top that are read besides `_id`. Default all.
 */
export async function* writtenDocuments(
  { client }: Connection,
  { schema, name }: TableName,
  ids: readonly RawId[] | 'all',
  names?: readonly string[],
): AsyncGenerator<Uint8Array[]> {
  const collection = client.db(schema).collection(name);
  const options = {
    raw: true,
    ...(names && { projection: Object.fromEntries(['_id', ...names].map((field) => [field, 1])) }),
  };
  if (ids === 'all') {
    yield* chunksOf(collection.find({}, options));
    return;
  }
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE).map(idValue);
    yield* chunksOf(collection.find({ _id: { $in: some } } as Filter<Document>, options));
  }
}

/**
 * How many documents are like fewer than `k - 1` others in some paths, in how many groups, and the smallest group.
 * Undefined where there are documents, and none has one of these paths.
 */
export async function smallGroups(
  { client }: Connection,
  { schema, name }: TableName,
  paths: readonly string[],
  k: number,
): Promise<{ rows: number; groups: number; smallest: number } | undefined> {
  const collection = client.db(schema).collection(name);
  for (const path of paths) {
    const has = await collection.findOne({ [queryPath(path)]: { $exists: true } } as Filter<Document>);
    if (!has && (await collection.findOne({}))) return undefined;
  }
  const by = Object.fromEntries(paths.map((path, at) => [`p${at}`, `$${queryPath(path)}`]));
  const counts = collection.aggregate<{ n: number }>(
    [{ $group: { _id: by, n: { $sum: 1 } } }, { $project: { _id: 0, n: 1 } }],
    {
      allowDiskUse: true,
    },
  );
  let [rows, groups, smallest] = [0, 0, Number.POSITIVE_INFINITY];
  for await (const { n } of counts) {
    smallest = Math.min(smallest, n);
    if (n >= k) continue;
    rows += n;
    groups += 1;
  }
  return { rows, groups, smallest: Number.isFinite(smallest) ? smallest : 0 };
}
