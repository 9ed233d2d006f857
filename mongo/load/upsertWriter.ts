import { idText, type RawId } from '../ids.js';
import { deleteRaw, upsertRaw, type WriteTarget } from '../wire.js';
import { refusalOf } from './insertWriter.js';
import type { RecordedIds } from './recordedIds.js';
import type { Output, WriteResult, Writer } from './write.js';

/** `upsert` on a server without transactions. */
export class UpsertWriter implements Writer {
  private readonly produced = new Set<string>();

  constructor(
    private readonly target: WriteTarget,
    private readonly recorded: RecordedIds,
  ) {}

  async write(outputs: readonly Output[]): Promise<WriteResult> {
    if (outputs.length === 0) return { refused: [] };
    await this.recorded.add(outputs.map(({ id }) => id));
    for (const { id } of outputs) this.produced.add(idText(id));
    const { errors } = await upsertRaw(this.target, outputs);
    return {
      refused: errors.map((error) => ({
        document: outputs[error.index]!.source,
        refusal: refusalOf(error),
      })),
    };
  }

  /** What an earlier attempt wrote and this one does not produce any more. */
  async finish(): Promise<WriteResult> {
    const gone: RawId[] = [];
    for (const [text, id] of this.recorded.former) if (!this.produced.has(text)) gone.push(id);
    const others = await this.recorded.ofOthers(gone);
    const own = gone.filter((id) => !others.has(idText(id)));
    if (own.length > 0) await deleteRaw(this.target, own);
    return { refused: [] };
  }

  commit(body: () => Promise<string>): Promise<string> {
    return body();
  }

  async close(): Promise<void> {}
}
