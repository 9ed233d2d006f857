import { codeText } from '../errors.js';
import { idText, type RawId } from '../ids.js';
import { deleteRaw, insertRaw, upsertRaw, type WriteError, type WriteTarget } from '../wire.js';
import type { Refusal } from './quarantine.js';
import type { RecordedIds } from './recordedIds.js';
import type { Output, WriteResult, Writer } from './write.js';

export const DUPLICATE = 11000;

/** `replace`: into a collection of the run's own, where only other batches of the run write. */
export class InsertWriter implements Writer {
  private readonly written = new Written();

  constructor(
    private readonly target: WriteTarget,
    private readonly recorded: RecordedIds,
  ) {}

  /** What earlier attempts of this batch have left goes before anything is written: unique indexes would see it. */
  async removeFormer(): Promise<void> {
    const former = [...this.recorded.former.values()];
    const others = await this.recorded.ofOthers(former);
    const own = former.filter((id) => !others.has(idText(id)));
    if (own.length > 0) await deleteRaw(this.target, own);
  }

  async write(outputs: readonly Output[]): Promise<WriteResult> {
    if (outputs.length === 0) return { refused: [] };
    await this.recorded.add(outputs.map(({ id }) => id));
    const { errors } = await insertRaw(
      this.target,
      outputs.map(({ document }) => document),
    );
    const failed = new Set(errors.map(({ index }) => index));
    for (const [index, { id }] of outputs.entries()) if (!failed.has(index)) this.written.add(id);
    const late = errors.filter((error) => isIdTaken(error) && !this.written.has(outputs[error.index]!.id));
    const settled = await this.settle(late.map(({ index }) => ({ index, output: outputs[index]! })));
    return {
      refused: errors
        .filter(({ index }) => !settled.has(index))
        .map((error) => ({ document: outputs[error.index]!.source, refusal: refusalOf(error) })),
    };
  }

  /**
   * An `_id` that is there though neither this attempt nor another batch wrote it is a late write of an earlier attempt
   * of this batch: this one's document takes its place.
   */
  private async settle(taken: readonly { index: number; output: Output }[]): Promise<Set<number>> {
    const others = await this.recorded.ofOthers(taken.map(({ output }) => output.id));
    const own: { index: number; output: Output }[] = [];
    for (const entry of taken) {
      const text = idText(entry.output.id);
      if (others.has(text) || this.written.has(entry.output.id)) continue;
      this.written.add(entry.output.id);
      own.push(entry);
    }
    const { errors } = await upsertRaw(
      this.target,
      own.map(({ output }) => output),
    );
    const failed = new Set(errors.map(({ index }) => own[index]!.index));
    return new Set(own.map(({ index }) => index).filter((index) => !failed.has(index)));
  }

  async finish(): Promise<WriteResult> {
    return { refused: [] };
  }

  commit(body: () => Promise<string>): Promise<string> {
    return body();
  }

  async close(): Promise<void> {}
}

/** `_id`s that were written: texts to look them up by are made when somebody asks, which hardly ever happens. */
class Written {
  private readonly known = new Set<string>();
  private fresh: RawId[] = [];

  add(id: RawId): void {
    this.fresh.push(id);
  }

  has(id: RawId): boolean {
    for (const other of this.fresh) this.known.add(idText(other));
    this.fresh = [];
    return this.known.has(idText(id));
  }
}

export function isIdTaken({ code, paths }: WriteError): boolean {
  return code === DUPLICATE && paths?.length === 1 && paths[0] === '_id';
}

/** Why a server did not take a document: its code and the index, nothing of its message. */
export function refusalOf({ code, paths }: WriteError): Refusal {
  const index = paths?.join(', ');
  return {
    code: String(code),
    ...(index !== undefined && { index }),
    message: `${codeText(code)} (code ${code}${index === undefined ? '' : `, index on ${index}`})`,
  };
}
