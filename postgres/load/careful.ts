import { createHash } from 'node:crypto';
import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import { decodeRows } from '../copy/decode.js';
import { type OutputField, RowEncoder } from '../copy/encode.js';
import type { RowBlock } from '../copy/format.js';
import type { CopyOut } from '../copy/out.js';
import { type RowError, rowErrorClass, sanitize } from '../errors.js';
import { insertQuarantine, type QuarantinedRow } from '../ledger/quarantine.js';
import type { BatchId } from '../ledger/twins.js';
import { query } from '../session.js';
import type { BatchWork, Loaded } from './batch.js';
import type { TableContext } from './context.js';
import { evidenceOf } from './evidence.js';
import type { Orphan } from './parents.js';
import { add } from './pump.js';
import { QuarantineBudget } from './quarantine.js';
import { sealRowKey } from './seals.js';
import { whileWaiting } from './waiting.js';

/** A part of a block, ready to be sent in pieces. */
interface Segment {
  readonly block: RowBlock;
  readonly fields: readonly OutputField[];
  /** Rows that a transformer refused. */
  readonly skip: Uint8Array;
}

/** A row whose parent was not there; it may come later in the same batch. */
interface Waiting {
  readonly bytes: Buffer;
  readonly row: QuarantinedRow;
  /** Of the row at the source. */
  readonly key: readonly string[];
  /** In the order in which they were read. */
  readonly place: number;
}

type Refusal = RowError & { readonly line?: number };

const WAITING_ROUNDS = 10;

/**
 * Loads a batch in which rows were refused: in the order of its key, a chunk at a time, each in a savepoint. A chunk
 * that fails is divided until the rows at fault are alone; those go to quarantine, in the transaction in which the
 * others are written. The same batch has the same losers whenever it is done.
 */
export async function loadCarefully(context: TableContext, work: BatchWork): Promise<Loaded> {
  const { destination, ranges, carefulShape, source } = context;
  // What is deferred would fail at the commit, when nobody can tell which row it was.
  await query(destination, 'SET CONSTRAINTS ALL IMMEDIATE');
  await query(
    source.session,
    `SET LOCAL enable_seqscan = ${work.bounds.from || work.bounds.to ? 'off' : 'on'}`,
  );
  const budget = await QuarantineBudget.open(context);
  const load = new CarefulLoad(context, work.id, budget);
  await load.read(source.copy(ranges.rows(carefulShape.select, work.bounds, work.upper, true)));
  return load.finish();
}

/** Rows that are written one by one where they have to be; the caller owns the transaction. */
export class CarefulLoad {
  private readonly encoder = new RowEncoder();
  private readonly source = createHash('sha256');
  private readonly output = createHash('sha256');
  private readonly rules: Record<string, number> = {};
  private readonly leaks: Record<string, number> = {};
  private readonly evidence: Buffer[] = [];
  private readonly quarantined: QuarantinedRow[] = [];
  private waiting: Waiting[] = [];
  private rows = 0;
  private bytes = 0;

  constructor(
    private readonly context: TableContext,
    private readonly id: BatchId,
    private readonly budget: QuarantineBudget,
    /** Told of every row that was read, by its keyed hash. */
    private readonly saw?: (keyHash: string) => void,
  ) {}

  /** Takes everything that the reader gives, which is over then, also after an error. */
  async read(reader: CopyOut): Promise<void> {
    try {
      await this.readAll(reader);
    } catch (error) {
      await reader.drain();
      throw error;
    }
  }

  /** Rows that still wait for their parent, after they were tried again: `finish` tries them once more. */
  async orphans(): Promise<Orphan[]> {
    await this.retryWaiting();
    return this.waiting.flatMap(({ row: { constraint }, key }) => (constraint ? [{ constraint, key }] : []));
  }

  /** Rows that still wait for their parent are tried again; then the refused ones are recorded. */
  async finish(): Promise<Loaded> {
    await this.retryWaiting();
    this.waiting.sort((a, b) => a.place - b.place);
    for (const { row } of this.waiting) this.quarantine(row);
    await insertQuarantine(this.context.destination, this.id, this.context.table.plan.id, this.quarantined);
    return {
      rows: this.rows,
      bytes: this.bytes,
      quarantined: this.quarantined.length,
      rules: this.rules,
      leaks: this.leaks,
      sourceDigest: this.source.digest('hex'),
      outputDigest: this.output.digest('hex'),
      evidence: this.context.task.execution.evidence === 'row' ? Buffer.concat(this.evidence) : null,
    };
  }

  private async readAll(reader: CopyOut): Promise<void> {
    const { carefulShape: shape, compiled, source } = this.context;
    for (let chunk = await this.next(reader); chunk; chunk = await this.next(reader)) {
      this.source.update(chunk.bytes);
      const block = decodeRows(source.decode(chunk), shape.leading, shape.total);
      if (this.saw) for (let row = 0; row < block.size; row++) this.saw(this.keyOf(block, row).keyHash);
      const transformed = compiled.transform(shape.chunk(block));
      const skip = new Uint8Array(block.size);
      for (const { row, column, rule, reason } of transformed.failed) {
        if (skip[row] === 1) continue;
        skip[row] = 1;
        this.quarantine({ ...this.keyOf(block, row), code: 'transformer', column, rule, message: reason });
      }
      add(this.rules, transformed.rules);
      add(this.leaks, transformed.equal);
      if (this.context.task.execution.evidence === 'row')
        this.evidence.push(evidenceOf(this.context.keys, shape, block));
      await this.write({ block, fields: shape.output(transformed), skip }, 0, block.size);
      reader.release(chunk);
      this.tell();
    }
  }

  private tell(): void {
    const { report, written } = this.context;
    report({ ...this.id, rows: written.rows + this.rows, bytes: written.bytes + this.bytes });
  }

  private async next(reader: CopyOut) {
    try {
      return await whileWaiting(reader.next(), () => this.tell());
    } catch (error) {
      throw sanitize(error, `reading ${tableText(this.context.table.plan.source)}`);
    }
  }

  /** Writes rows from … to, except those that are refused. Every division is smaller, so it ends. */
  private async write(segment: Segment, from: number, to: number): Promise<void> {
    const rows = rowsOf(segment, from, to);
    if (rows.length === 0) return;
    const range = { from, to, skip: segment.skip };
    const bytes = this.encoder.encode(segment.block, segment.fields, this.context.carefulShape.rest, range);
    const refusal = await this.attempt(bytes, rows.length);
    if (!refusal) return;
    if (rows.length === 1) {
      this.refuse(segment, rows[0]!, refusal, Buffer.from(bytes));
      return;
    }
    const suspect = refusal.line === undefined ? undefined : rows[refusal.line - 1];
    if (suspect === undefined) {
      const middle = rows[rows.length >> 1]!;
      await this.write(segment, from, middle);
      await this.write(segment, middle, to);
    } else {
      await this.write(segment, from, suspect);
      await this.write(segment, suspect, suspect + 1);
      await this.write(segment, suspect + 1, to);
    }
  }

  /** Sends rows in a savepoint; undefined when they were taken. */
  private async attempt(bytes: Buffer, rows: number): Promise<Refusal | undefined> {
    const { destination, sink, table } = this.context;
    await query(destination, 'SAVEPOINT lethe_rows');
    try {
      const writer = sink.open();
      await writer.write(bytes);
      await writer.finish();
      await sink.settle();
    } catch (error) {
      const refusal = rowErrorClass(error);
      if (!refusal) throw sanitize(error, `writing ${tableText(table.plan.destination)}`);
      await query(destination, 'ROLLBACK TO SAVEPOINT lethe_rows');
      await query(destination, 'RELEASE SAVEPOINT lethe_rows');
      return { ...refusal, ...placeOf(error, this.context.carefulShape.into) };
    }
    await query(destination, 'RELEASE SAVEPOINT lethe_rows');
    this.output.update(bytes);
    this.rows += rows;
    this.bytes += bytes.length;
    return undefined;
  }

  private refuse(segment: Segment, row: number, refusal: Refusal, bytes: Buffer): void {
    const { code, constraint, column } = refusal;
    const what = [constraint && `constraint ${constraint}`, column && `column ${column}`].filter(Boolean);
    const quarantined = {
      ...this.keyOf(segment.block, row),
      code,
      constraint,
      column,
      message: `Refused by the destination: SQLSTATE ${code}${what.length > 0 ? `, ${what.join(', ')}` : ''}.`,
    };
    if (code === FOREIGN_KEY_VIOLATION) {
      const key = this.sourceKey(segment.block, row);
      this.waiting.push({ bytes, row: quarantined, key, place: this.waiting.length });
    } else this.quarantine(quarantined);
  }

  /** A row of the batch may be the parent of an earlier one. */
  private async retryWaiting(): Promise<void> {
    for (let round = 0; round < WAITING_ROUNDS && this.waiting.length > 0; round++) {
      const before = this.waiting.length;
      const still: Waiting[] = [];
      for (const waiting of this.waiting.reverse()) {
        if (await this.attempt(waiting.bytes, 1)) still.push(waiting);
      }
      this.waiting = still;
      // There and back: a chain of any length comes in by one of the two directions.
      if (round > 0 && still.length === before) break;
    }
  }

  private quarantine(row: QuarantinedRow): void {
    this.quarantined.push({ ...row, waitsForParent: row.code === FOREIGN_KEY_VIOLATION });
    this.budget.spend(row);
  }

  private keyOf(block: RowBlock, row: number): { key: string; keyHash: string } {
    const { task, keys, table } = this.context;
    return sealRowKey(keys, { run: task.run, table: table.plan.id }, this.sourceKey(block, row));
  }

  private sourceKey(block: RowBlock, row: number): string[] {
    return block.fields.slice(0, this.context.carefulShape.keys).map((field) => field[row]!);
  }
}

const FOREIGN_KEY_VIOLATION = '23503';

function rowsOf({ skip }: Segment, from: number, to: number): number[] {
  const rows: number[] = [];
  for (let row = from; row < to; row++) if (skip[row] === 0) rows.push(row);
  return rows;
}

/** COPY says in the error's context which line it was, and in which column. What follows there is the value. */
function placeOf(error: unknown, into: readonly string[]): { line?: number; column?: string } {
  if (error instanceof LetheError) return {};
  const where = String((error as { where?: unknown }).where ?? '');
  const line = /, line (\d+)/.exec(where);
  if (!line) return {};
  const rest = where.slice(line.index + line[0].length);
  const column = into.find((name) => rest.startsWith(`, column ${name}:`));
  return { line: Number(line[1]), ...(column !== undefined && { column }) };
}
