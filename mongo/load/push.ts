import type { Document, Filter } from 'mongodb';
import { checkOwner } from '../fence.js';
import { idOf, idText, idValue, type RawId } from '../ids.js';
import { checkAttempt } from '../ledger/batches.js';
import { type Pipelines, pipelinesOf } from '../pushdown/pipelines.js';
import { rangeFilter } from '../ranges.js';
import { type BatchWork, loadChunk, type Tally } from './chunk.js';
import { type CollectionContext, refuseStopped, selection, sourceOf, target, targetOf } from './context.js';
import { chunksOf } from './read.js';
import type { Writer } from './write.js';

/** Milliseconds between looks at how far the server has come. */
const LOOK = 5_000;
/** `_id`s that are asked for at once. */
const AT_ONCE = 1_000;

/**
 * Has the server transform a batch and write it into the run's collection; the documents that it leaves are done here.
 * False where the job does not say so, or the server refuses: then nothing of the batch is there, and all of it is to be
 * done here.
 */
export async function pushBatch(
  context: CollectionContext,
  work: BatchWork,
  writer: Writer,
  tally: Tally,
): Promise<boolean> {
  const { pushdown, task, table, ledger } = context;
  if (!pushdown) return false;
  await checkAttempt(ledger, work.batch);
  await checkOwner(ledger, table.destination, task.run);
  const filter = selection(table, work.range);
  const pipelines = pipelinesOf(pushdown, filter, target(task.run, task.mode, table));
  // An earlier attempt may have written what this one leaves.
  await emptyRange(context, work);
  const left = await onServer(context, work, pipelines);
  if (left === undefined) {
    await emptyRange(context, work);
    return false;
  }
  const written = await countOf(context, work);
  const selected = await sourceOf(context).countDocuments(filter);
  // What changed at the source meanwhile may be in neither of the two pipelines.
  const missing = written + left.length === selected ? left : await missingIn(context, work, filter);
  tally.pushed(written);
  await doHere(context, work, writer, tally, missing);
  return true;
}

/** `_id`s that the server leaves; undefined where it refuses the pipelines, or some document on the way. */
async function onServer(
  context: CollectionContext,
  work: BatchWork,
  { merge, left }: Pipelines,
): Promise<RawId[] | undefined> {
  const { destination, table, progress } = context;
  // The server writes under the rights of who asks.
  const source = destination.client.db(table.source.schema).collection(table.source.name);
  const look = setInterval(() => {
    countOf(context, work).then(
      (rows) => progress({ partition: work.batch.partition, batch: work.batch.batch, rows, bytes: 0 }),
      () => undefined,
    );
  }, LOOK);
  try {
    await source.aggregate(merge as Document[], { allowDiskUse: true }).toArray();
    if (!left) return [];
    const found = source.aggregate(left as Document[], { raw: true }) as unknown as AsyncIterable<Uint8Array>;
    const ids: RawId[] = [];
    for await (const document of found) ids.push(idOf(document)!);
    return ids;
  } catch (error) {
    refuseStopped(context);
    if (!isRefusal(error)) throw error;
    return undefined;
  } finally {
    clearInterval(look);
  }
}

/** The server looked at the pipeline or at a document and said no; anything else may pass. */
function isRefusal(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: unknown };
  return name === 'MongoServerError' && typeof code === 'number' && !NOT_ABOUT_DOCUMENTS.has(code);
}

/** Rights, logins, and a server that is changing over. */
const NOT_ABOUT_DOCUMENTS = new Set([
  6, 7, 13, 18, 43, 46, 50, 63, 64, 79, 89, 91, 112, 133, 134, 150, 175, 189, 202, 234, 237, 262, 290, 317,
  8000, 9001, 10107, 11600, 11601, 11602, 13388, 13435, 13436,
]);

/** Its collection is the run's own, and `_id`s are kept, so a range there is the range of the batch. */
async function emptyRange(context: CollectionContext, { range }: BatchWork): Promise<void> {
  const { db, collection } = targetOf(context);
  await db.collection(collection).deleteMany(rangeFilter(range));
}

function countOf(context: CollectionContext, { range }: BatchWork): Promise<number> {
  const { db, collection } = targetOf(context);
  return db.collection(collection).countDocuments(rangeFilter(range));
}

/** Documents of the source that are not in the run's collection. */
async function missingIn(
  context: CollectionContext,
  { range }: BatchWork,
  filter: Filter<Document>,
): Promise<RawId[]> {
  const { db, collection } = targetOf(context);
  const only = { projection: { _id: 1 }, raw: true } as const;
  const there = new Set<string>();
  const known = db
    .collection(collection)
    .find(rangeFilter(range), only) as unknown as AsyncIterable<Uint8Array>;
  for await (const document of known) there.add(idText(idOf(document)!));
  const missing: RawId[] = [];
  const all = sourceOf(context).find(filter, only) as unknown as AsyncIterable<Uint8Array>;
  for await (const document of all) {
    const id = idOf(document)!;
    if (!there.has(idText(id))) missing.push(id);
  }
  return missing;
}

async function doHere(
  context: CollectionContext,
  work: BatchWork,
  writer: Writer,
  tally: Tally,
  ids: readonly RawId[],
): Promise<void> {
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    refuseStopped(context);
    const some = ids.slice(from, from + AT_ONCE).map(idValue);
    const cursor = sourceOf(context).find({ _id: { $in: some } } as Filter<Document>, {
      raw: true,
      sort: { _id: 1 },
    });
    for await (const documents of chunksOf(cursor)) {
      await loadChunk(context, work, writer, documents, tally);
      const { rows, bytes } = tally;
      context.progress({ partition: work.batch.partition, batch: work.batch.batch, rows, bytes });
    }
  }
}
