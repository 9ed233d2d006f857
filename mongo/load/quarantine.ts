import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import { idOf } from '../ids.js';
import { sealKey } from '../ledger/seals.js';
import type { BatchDocument, QuarantineDocument } from '../ledger/store.js';
import { WAITING } from '../ledger/summary.js';
import type { CollectionContext } from './context.js';

/** Why a document is not in the destination; it holds no value. */
export interface Refusal {
  /** Error code of the server, or `transformer`, `size`. */
  readonly code: string;
  readonly path?: string;
  /** Paths of the unique index. */
  readonly index?: string;
  readonly message: string;
}

/** How many documents of a collection may go to quarantine. */
export class QuarantineBudget {
  private constructor(
    private readonly context: CollectionContext,
    private readonly limit: number,
  ) {}

  static async open(context: CollectionContext): Promise<QuarantineBudget> {
    const { onFailure, batchRows } = context.task.execution;
    if (onFailure.kind === 'fail') return new QuarantineBudget(context, 0);
    const size = Math.max(context.table.rows, batchRows);
    const limit = Math.min(
      onFailure.rows ?? Number.POSITIVE_INFINITY,
      onFailure.share === undefined ? Number.POSITIVE_INFINITY : Math.floor(onFailure.share * size),
    );
    return new QuarantineBudget(context, limit);
  }

  /**
   * Puts documents into quarantine, by their encrypted `_id`s.
   * @throws LetheError `QuarantineLimit` when they are too many.
   */
  async add(
    batch: BatchDocument,
    refused: readonly { readonly document: Uint8Array; readonly refusal: Refusal }[],
  ): Promise<void> {
    if (refused.length === 0) return;
    const { ledger, keys, task, table } = this.context;
    await Promise.all(
      refused.map(({ document, refusal: { code, path, index, message } }) => {
        const { key, keyHash } = sealKey(keys, { run: task.run, table: table.id }, idOf(document));
        const entry: Omit<QuarantineDocument, '_id'> = {
          ...{ run: task.run, table: table.id, partition: batch.partition, batch: batch.batch },
          ...{ key, keyHash, code, message },
          column: path ?? null,
          constraint: index ?? null,
          rule: null,
        };
        return ledger.quarantine.replaceOne({ _id: `${task.run}/${table.id}/${keyHash}` }, entry, {
          upsert: true,
        });
      }),
    );
    const used = await ledger.quarantine.countDocuments({ run: task.run, table: table.id, ...WAITING });
    if (used > this.limit) throw this.exceeded(refused.at(-1)!.refusal);
  }

  /** Those of an attempt that has ended: what it refused may pass now. */
  async forget({ run, partition, batch }: BatchDocument): Promise<void> {
    await this.context.ledger.quarantine.deleteMany({ run, partition, batch });
  }

  private exceeded({ code, path, message }: Refusal): LetheError {
    const table = tableText(this.context.table.source);
    return new LetheError(
      'QuarantineLimit',
      this.limit === 0
        ? `A document of ${table} was refused: ${message}. The job says \`onFailure: fail\` or allows none. Mend the document or the rule, or allow some with \`onFailure: { quarantine: N }\`.`
        : `More than ${this.limit} documents of ${table} were refused (the last: ${message}). Mend the documents or the rule, or raise the limit of \`onFailure\`.`,
      { table, limit: this.limit, code, ...(path !== undefined && { column: path }) },
    );
  }
}
