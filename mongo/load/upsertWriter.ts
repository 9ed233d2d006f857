import { idText, type RawId } from '../ids.js';
import { deleteRaw, upsertRaw, type WriteError, type WriteTarget } from '../wire.js';
import { DUPLICATE, refusalOf } from './insertWriter.js';
import type { RecordedIds } from './recordedIds.js';
import type { Output, WriteResult, Writer } from './write.js';

/** `upsert` on a server without transactions. */
export class UpsertWriter implements Writer {
  private readonly produced = new Set<string>();
  /** Documents that met one in a unique index which an earlier attempt may have left. */
  private held: Output[] = [];

  constructor(
    private readonly target: WriteTarget,
    private readonly recorded: RecordedIds,
  ) {}

  async write(outputs: readonly Output[]): Promise<WriteResult> {
    if (outputs.length === 0) return { refused: [] };
    await this.recorded.add(outputs.map(({ id }) => id));
    for (const { id } of outputs) this.produced.add(idText(id));
    const { errors } = await upsertRaw(this.target, outputs);
    const waiting = (error: WriteError) => error.code === DUPLICATE && this.recorded.former.size > 0;
    this.held.push(...errors.filter(waiting).map(({ index }) => outputs[index]!));
    return {
      refused: refused(
        errors.filter((error) => !waiting(error)),
        outputs,
      ),
    };
  }

  /** What an earlier attempt wrote and this one does not produce any more goes; then what it was in the way of comes. */
  async finish(): Promise<WriteResult> {
    const gone: RawId[] = [];
    for (const [text, id] of this.recorded.former) if (!this.produced.has(text)) gone.push(id);
    const others = await this.recorded.ofOthers(gone);
    const own = gone.filter((id) => !others.has(idText(id)));
    if (own.length > 0) await deleteRaw(this.target, own);
    const { errors } = await upsertRaw(this.target, this.held);
    return { refused: refused(errors, this.held) };
  }

  commit(body: () => Promise<string>): Promise<string> {
    return body();
  }

  async close(): Promise<void> {}
}

function refused(errors: readonly WriteError[], outputs: readonly Output[]): WriteResult['refused'] {
  return errors.map((error) => ({ document: outputs[error.index]!.source, refusal: refusalOf(error) }));
}
