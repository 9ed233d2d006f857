import type { Document, Filter } from 'mongodb';
import type { JobKeys } from '../../anonymize/keys.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import type { Connection } from '../connection.js';
import { prepareDocuments } from '../documents/compile.js';
import type { DocumentTransform } from '../documents/types.js';
import { sanitize } from '../errors.js';
import { checkOwner } from '../fence.js';
import { idOf, idText, idValue, type RawId } from '../ids.js';
import { claimBatch, commitBatch, endPartition } from '../ledger/batches.js';
import { renamedBy } from '../ledger/runs.js';
import { openKey } from '../ledger/seals.js';
import type { BatchDocument, Ledger, QuarantineDocument } from '../ledger/store.js';
import { WAITING } from '../ledger/summary.js';
import { type Recognizer, recognizerOf } from '../recognize.js';
import { insertRaw, upsertRaw, type WriteError, type WriteTarget } from '../wire.js';
import { NO_ID, refusedIn, Tally } from './chunk.js';
import { target, whereOf } from './context.js';
import { PARTITIONS_PER_TABLE } from './cut.js';
import { isIdTaken, refusalOf } from './insertWriter.js';
import type { Refusal } from './quarantine.js';
import type { Output } from './write.js';

/** A pass over the quarantined documents of one collection. */
export interface ReplayTask {
  readonly run: string;
  /** Number of the replay, from 1. */
  readonly replay: number;
  readonly mode: 'replace' | 'upsert';
  readonly table: TablePlan;
  readonly keys: JobKeys;
  readonly evidence: 'batch' | 'row';
  /** Only what these batches have put there. */
  readonly batches?: readonly { readonly partition: number; readonly batch: number }[];
}

export interface ReplayOutcome {
  readonly copied: number;
  /** The source has them no more, or the job does not select them any more. */
  readonly gone: number;
  /** Left in quarantine. */
  readonly quarantined: number;
}

/** Documents of one batch. */
const AT_ONCE = 500;
/** Partitions of replays stand behind all that a collection is cut into. */
const FIRST_REPLAY = 90_000;

/**
 * Tries documents again, each once: reads them from the source by their `_id`, transforms them, and writes those that
 * fit, in batches of a partition of its own. What a killed attempt has committed is not counted twice.
 */
export async function replayDocuments(
  task: ReplayTask,
  source: Connection,
  destination: Connection,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<ReplayOutcome> {
  const { rules } = task.table.collection!;
  const transform = await prepareDocuments(rules, task.keys);
  const recognizer = await recognizerOf(rules, task.keys);
  try {
    return await new Pass(task, transform, recognizer, source, destination, ledger).all(signal);
  } catch (error) {
    throw sanitize(error, `replaying ${tableText(task.table.source)}`);
  }
}

class Pass {
  private readonly partition: number;
  /** Last link of the partition's chain. */
  private head = '';
  private copied = 0;
  private gone = 0;

  constructor(
    private readonly task: ReplayTask,
    private readonly transform: DocumentTransform,
    private readonly recognizer: Recognizer,
    private readonly source: Connection,
    private readonly destination: Connection,
    private readonly ledger: Ledger,
  ) {
    this.partition = task.table.id * PARTITIONS_PER_TABLE + FIRST_REPLAY + task.replay;
  }

  async all(signal: AbortSignal): Promise<ReplayOutcome> {
    const { ledger, task } = this;
    await this.begin();
    for (let after = ''; ; ) {
      signal.throwIfAborted();
      const entries = await ledger.quarantine
        .find({ ...this.entries(), _id: { $gt: after } })
        .sort({ _id: 1 })
        .limit(AT_ONCE)
        .toArray();
      if (entries.length === 0) break;
      await this.some(entries);
      after = entries.at(-1)!._id;
    }
    const left = await ledger.quarantine.countDocuments({ run: task.run, table: task.table.id, ...WAITING });
    return { copied: this.copied, gone: this.gone, quarantined: left };
  }

  private entries(): Filter<QuarantineDocument> {
    const { run, table, batches } = this.task;
    return { run, table: table.id, ...WAITING, ...(batches && { $or: [...batches] }) };
  }

  /** Sets right what an attempt that was killed left between the commit of a batch and its entries. */
  private async begin(): Promise<void> {
    const { ledger, partition, task } = this;
    const { run } = task;
    for await (const batch of ledger.batches.find({ run, partition }).sort({ batch: 1 })) {
      if (batch.state === 'committed') {
        this.head = batch.chain ?? '';
        this.copied += await this.mark({ trying: batch._id }, 'copied');
      } else await ledger.quarantine.updateMany({ trying: batch._id }, { $unset: { trying: 1 } });
    }
    if (this.head !== '') await endPartition(ledger, { _id: `${run}/${partition}` }, this.head);
  }

  private async mark(of: Filter<QuarantineDocument>, outcome: 'copied' | 'gone'): Promise<number> {
    const { run, table, replay } = this.task;
    const { modifiedCount } = await this.ledger.quarantine.updateMany(
      { run, table: table.id, ...of },
      { $set: { replayed: replay, outcome }, $unset: { trying: 1 } },
    );
    return modifiedCount;
  }

  private async some(entries: readonly QuarantineDocument[]): Promise<void> {
    const { ledger, task } = this;
    await checkOwner(ledger, task.table.destination, task.run);
    const byId = new Map<string, QuarantineDocument>();
    const ids: RawId[] = [];
    for (const entry of entries) {
      const id = openKey(task.keys, { run: task.run, table: task.table.id }, entry.key);
      if (!id) continue;
      ids.push(id);
      byId.set(idText(id), entry);
    }
    const documents = await this.read(ids);
    const there = new Set(documents.map((document) => idText(idOf(document)!)));
    const gone = [...byId].filter(([id]) => !there.has(id)).map(([, { _id }]) => _id);
    if (gone.length > 0) this.gone += await this.mark({ _id: { $in: gone } }, 'gone');
    const entryOf = (document: Uint8Array) => byId.get(idText(idOf(document)!))!;
    if (documents.length > 0) await this.batch(documents, entryOf);
  }

  private async read(ids: readonly RawId[]): Promise<Uint8Array[]> {
    const { table } = this.task;
    const byId = { _id: { $in: ids.map(idValue) } } as Filter<Document>;
    const where = table.collection?.where;
    const filter = where === undefined ? byId : { $and: [byId, whereOf(where)] };
    return (await this.source.client
      .db(table.source.schema)
      .collection(table.source.name)
      .find(filter, { raw: true })
      .toArray()) as unknown as Uint8Array[];
  }

  private async batch(
    documents: readonly Uint8Array[],
    entryOf: (document: Uint8Array) => QuarantineDocument,
  ): Promise<void> {
    const { ledger } = this;
    const batch = await this.claim();
    const mine = documents.map((document) => entryOf(document)._id);
    await ledger.quarantine.updateMany({ _id: { $in: mine } }, { $set: { trying: batch._id } });
    const tally = new Tally(this.task.evidence === 'row' ? this.task.keys.evidence : undefined);
    tally.read(documents);
    const changed = this.transform.apply(documents);
    tally.count(changed.rules, changed.equal);
    const refused = refusedIn(changed, documents);
    const outputs: Output[] = [];
    for (const [index, output] of changed.documents.entries()) {
      if (output === null) continue;
      const id = idOf(output);
      if (id) outputs.push({ id, document: output, source: documents[index]! });
      else refused.push({ document: documents[index]!, refusal: NO_ID });
    }
    const late = await this.write(outputs);
    tally.written(outputs, new Set(late.map(({ document }) => document)));
    for (const { document, refusal } of [...refused, ...late]) await this.stays(entryOf(document), refusal);
    this.head = await commitBatch(ledger, batch, tally.outcome(0), this.head);
    await endPartition(ledger, { _id: `${batch.run}/${this.partition}` }, this.head);
    this.copied += await this.mark({ trying: batch._id }, 'copied');
  }

  /** The one that a killed attempt left open, or the next. */
  private async claim(): Promise<BatchDocument> {
    const { ledger, partition, task } = this;
    const { run, table } = task;
    // Not before: a partition that is done has a link.
    await ledger.partitions.updateOne(
      { _id: `${run}/${partition}` },
      {
        $setOnInsert: {
          ...{ run, partition, table: table.id, bounds: '', done: true, head: null, writes: 0 },
          replay: task.replay,
        },
      },
      { upsert: true },
    );
    const open = await ledger.batches.findOne({ run, partition, state: { $ne: 'committed' } });
    const batch = open?.batch ?? (await ledger.batches.countDocuments({ run, partition }));
    return claimBatch(ledger, { run, partition, batch, table: table.id, bounds: '' });
  }

  private async stays({ _id }: QuarantineDocument, { code, path, index, message }: Refusal): Promise<void> {
    await this.ledger.quarantine.updateOne(
      { _id },
      { $set: { code, message, column: path ?? null, constraint: index ?? null }, $unset: { trying: 1 } },
    );
  }

  /** An `_id` that is taken by the very same document was written by an attempt that was killed. */
  private async write(outputs: readonly Output[]): Promise<{ document: Uint8Array; refusal: Refusal }[]> {
    const { mode, run, table } = this.task;
    const { schema, name } = target(run, mode, table, await renamedBy(this.ledger, run));
    const into: WriteTarget = { db: this.destination.client.db(schema), collection: name };
    const { errors } =
      mode === 'upsert'
        ? await upsertRaw(into, outputs)
        : await insertRaw(
            into,
            outputs.map(({ document }) => document),
          );
    const same = await this.sameThere(into, errors, outputs);
    return errors
      .filter(({ index }) => !same.has(index))
      .map((error) => ({ document: outputs[error.index]!.source, refusal: refusalOf(error) }));
  }

  private async sameThere(
    { db, collection }: WriteTarget,
    errors: readonly WriteError[],
    outputs: readonly Output[],
  ): Promise<Set<number>> {
    const taken = errors.filter(isIdTaken).map(({ index }) => index);
    if (taken.length === 0) return new Set();
    const ids = taken.map((index) => idValue(outputs[index]!.id));
    const found = (await db
      .collection(collection)
      .find({ _id: { $in: ids } } as Filter<Document>, { raw: true })
      .toArray()) as unknown as Uint8Array[];
    const there = new Map(found.map((document) => [idText(idOf(document)!), document]));
    const pairs = taken.flatMap((index) => {
      const { id, document } = outputs[index]!;
      const other = there.get(idText(id));
      return other ? [{ index, made: document, there: other }] : [];
    });
    const compared = this.recognizer.compare(pairs);
    return new Set(pairs.filter((_, at) => compared[at]!.same).map(({ index }) => index));
  }
}
