import { createHash } from 'node:crypto';
import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import { decodeRows } from '../copy/decode.js';
import { RowEncoder } from '../copy/encode.js';
import type { CopyIn } from '../copy/in.js';
import type { CopyChunk, CopyOut } from '../copy/out.js';
import { sanitize } from '../errors.js';
import type { TableContext } from './context.js';
import { evidenceOf } from './evidence.js';
import { whileWaiting } from './waiting.js';

/** What went through, for the batch's ledger row. */
export interface Pumped {
  readonly rows: number;
  readonly bytes: number;
  readonly rules: Record<string, number>;
  readonly leaks: Record<string, number>;
  readonly sourceDigest: string;
  readonly outputDigest: string;
  /** With `evidence: row`: 16 bytes for each source row. */
  readonly evidence: Buffer | null;
}

/** A row was refused, by the destination or by a transformer: the batch has to be done again, carefully. */
export class RowsRefused extends Error {
  constructor(
    /** The driver's own error; undefined when a transformer refused. May hold values: never shown. */
    readonly refusal?: unknown,
  ) {
    super('rows were refused');
  }
}

/**
 * Reads, transforms and writes rows, a chunk at a time: while one is written the next is read and transformed. Memory
 * is a few chunks on each side, however many rows there are.
 *
 * @throws RowsRefused when the destination failed, or a transformer refused a row. Both streams are then over.
 */
export async function pump(
  context: TableContext,
  reader: CopyOut,
  writer: CopyIn,
  batch: Batch,
): Promise<Pumped> {
  const { shape, compiled, written, report, task, keys } = context;
  const evidence: Buffer[] | undefined = task.execution.evidence === 'row' ? [] : undefined;
  const name = tableText(context.table.plan.source);
  const source = createHash('sha256');
  const output = createHash('sha256');
  // The socket may still hold the chunk before: while one is on its way, the next is made in other memory.
  const encoders = [RowEncoder.borrow(), RowEncoder.borrow()] as const;
  const rules: Record<string, number> = {};
  const leaks: Record<string, number> = {};
  let rows = 0;
  let bytes = 0;
  let before: CopyChunk | undefined;
  const tell = () => report({ ...batch, rows: written.rows + rows, bytes: written.bytes + bytes });
  try {
    const next = () => whileWaiting(reader.next(), tell);
    for (let chunk = await next(), turn = 0; chunk; chunk = await next(), turn ^= 1) {
      source.update(chunk.bytes);
      const block = decodeRows(context.source.decode(chunk), shape.leading, shape.total);
      evidence?.push(evidenceOf(keys, shape, block));
      const transformed = compiled.transform(shape.chunk(block));
      if (transformed.failed.length > 0) throw new RowsRefused();
      // With nothing taken out, the rows go on as they came.
      const out =
        shape.leading === 0
          ? block.bytes
          : encoders[turn]!.encode(block, shape.output(transformed), shape.rest);
      output.update(out);
      await refusing(writer.write(out));
      if (before) reader.release(before);
      before = chunk;
      add(rules, transformed.rules);
      add(leaks, transformed.equal);
      rows += block.size;
      bytes += out.length;
      tell();
    }
    const stored = await refusing(writer.finish());
    for (const encoder of encoders) encoder.giveBack();
    if (before) reader.release(before);
    if (stored !== rows) throw notStored(context, rows - stored);
  } catch (error) {
    await Promise.all([reader.drain(), writer.abort()]);
    if (error instanceof RowsRefused) throw error;
    throw sanitize(error, `reading ${name}`);
  }
  return {
    rows,
    bytes,
    rules,
    leaks,
    sourceDigest: source.digest('hex'),
    outputDigest: output.digest('hex'),
    evidence: evidence ? Buffer.concat(evidence) : null,
  };
}

/** Which batch the progress is about. */
export interface Batch {
  readonly partition: number;
  readonly batch: number;
}

export function add(to: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) to[name] = (to[name] ?? 0) + count;
}

async function refusing<T>(written: Promise<T>): Promise<T> {
  try {
    return await written;
  } catch (error) {
    throw new RowsRefused(error);
  }
}

function notStored({ table }: TableContext, missing: number): LetheError {
  return new LetheError(
    'ValidationFailed',
    `The destination table ${tableText(table.plan.destination)} silently left out ${missing} rows of a batch: a trigger or rule there swallows rows. Disable it, or give Lethe the right to set session_replication_role.`,
    { table: tableText(table.plan.destination), missing },
  );
}
