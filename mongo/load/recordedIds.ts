import { idText, type RawId } from '../ids.js';
import { openIds, sealIds } from '../ledger/seals.js';
import type { BatchDocument } from '../ledger/store.js';
import type { CollectionContext } from './context.js';

/**
 * The destination `_id`s of a batch: each attempt records what it is about to write before it does, so that the next
 * one knows what may be there, and removes what it no longer produces.
 */
export class RecordedIds {
  private chunks = 0;

  private constructor(
    private readonly context: CollectionContext,
    private readonly batch: BatchDocument,
    /** Of earlier attempts, by their text. */
    readonly former: ReadonlyMap<string, RawId>,
  ) {}

  static async open(context: CollectionContext, batch: BatchDocument): Promise<RecordedIds> {
    const former = new Map<string, RawId>();
    if (batch.attempt > 1) {
      const { run, partition } = batch;
      for await (const { ids } of context.ledger.ids.find({ run, partition, batch: batch.batch })) {
        for (const id of openIds(context.keys, batch, ids)) former.set(idText(id), id);
      }
    }
    return new RecordedIds(context, batch, former);
  }

  async add(ids: readonly RawId[]): Promise<void> {
    if (ids.length === 0) return;
    const { run, table, partition, batch, attempt } = this.batch;
    const _id = `${run}/${partition}/${batch}/${attempt}/${this.chunks++}`;
    await this.context.ledger.ids.insertOne({
      _id,
      ...{ run, table, partition, batch, attempt },
      ids: sealIds(this.context.keys, this.batch, ids),
    });
  }

  /**
   * Which of these other batches of the collection have recorded. Where `_id` is kept, two documents of the source
   * cannot meet in one, and nothing is looked up.
   */
  async ofOthers(ids: readonly RawId[]): Promise<ReadonlySet<string>> {
    const { table, ledger, keys } = this.context;
    const kept = table.collection?.rules.fields.find(({ path }) => path === '_id')?.apply.name === 'keep';
    if (kept || ids.length === 0) return new Set();
    const wanted = new Set(ids.map(idText));
    const found = new Set<string>();
    const { run, partition, batch } = this.batch;
    for await (const other of ledger.ids.find({ run, table: table.id })) {
      if (other.partition === partition && other.batch === batch) continue;
      for (const id of openIds(keys, other, other.ids)) if (wanted.has(idText(id))) found.add(idText(id));
    }
    return found;
  }
}
