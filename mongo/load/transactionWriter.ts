import type { ClientSession } from 'mongodb';
import { LetheError } from '../../errors/errors.js';
import { checkOwner } from '../fence.js';
import type { BatchDocument } from '../ledger/store.js';
import { upsertRaw } from '../wire.js';
import { type CollectionContext, targetOf } from './context.js';
import { refusalOf } from './insertWriter.js';
import type { Refusal } from './quarantine.js';
import type { Output, WriteResult, Writer } from './write.js';

/**
 * `upsert` on a replica set: a batch, its fence and its ledger entry are one transaction. An error inside of it undoes
 * all of it, so it begins again without the documents that the server named.
 */
export class TransactionWriter implements Writer {
  private outputs: Output[] = [];
  private session: ClientSession | undefined;

  constructor(
    private readonly context: CollectionContext,
    private readonly batch: BatchDocument,
  ) {}

  async write(outputs: readonly Output[]): Promise<WriteResult> {
    this.outputs.push(...outputs);
    return { refused: [] };
  }

  async finish(): Promise<WriteResult> {
    const refused: { document: Uint8Array; refusal: Refusal }[] = [];
    for (;;) {
      const errors = await this.attempt();
      if (errors.length === 0) return { refused };
      const bad = new Map(errors.map((error) => [error.index, error]));
      for (const [index, error] of bad)
        refused.push({ document: this.outputs[index]!.source, refusal: refusalOf(error) });
      this.outputs = this.outputs.filter((_, index) => !bad.has(index));
    }
  }

  /** Leaves the transaction open when every document was taken. */
  private async attempt() {
    const { destination, ledger, table, task } = this.context;
    const session = destination.client.startSession();
    this.session = session;
    session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority' } });
    // Whoever takes the collection over changes it too, and one of the two fails.
    const { matchedCount } = await ledger.partitions.updateOne(
      { _id: `${task.run}/${this.batch.partition}` },
      { $inc: { writes: 1 } },
      { session },
    );
    if (matchedCount === 0) {
      throw new LetheError(
        'RunSuperseded',
        `Run ${task.run} was removed from the ledger; it writes no more.`,
      );
    }
    await checkOwner(ledger, table.destination, task.run);
    const { errors } = await upsertRaw({ ...targetOf(this.context), session }, this.outputs);
    if (errors.length > 0) await this.close();
    return errors;
  }

  async commit(body: (session?: ClientSession) => Promise<string>): Promise<string> {
    const chain = await body(this.session);
    await this.session?.commitTransaction();
    return chain;
  }

  async close(): Promise<void> {
    const session = this.session;
    this.session = undefined;
    if (session?.inTransaction()) await session.abortTransaction().catch(() => undefined);
    await session?.endSession().catch(() => undefined);
  }
}
