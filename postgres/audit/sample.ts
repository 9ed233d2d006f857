import { createHash } from 'node:crypto';
import type { JobKeys } from '../../anonymize/keys.js';
import { BLIND } from '../../anonymize/sealing.js';
import { LetheError } from '../../errors/errors.js';
import {
  type BatchNow,
  batchPlace,
  batchText,
  type ComparedSample,
  describeChange,
} from '../../ledger/audit/compare.js';
import type { Findings } from '../../ledger/audit/findings.js';
import type { BatchRecord } from '../../ledger/records.js';
import type { Bounds } from '../../ledger/types.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import { isSealed } from '../../plan/sealing.js';
import { decodeRows } from '../copy/decode.js';
import { RowEncoder } from '../copy/encode.js';
import { sanitize } from '../errors.js';
import { type TableReading, tableReading } from '../load/context.js';
import { evidenceOf } from '../load/evidence.js';
import { openBounds } from '../load/seals.js';
import type { RowShape } from '../load/shape.js';
import type { Source } from '../load/source.js';
import { query } from '../session.js';
import { type AuditSource, tableNow, withAuditSource } from './source.js';

/** Reads batches again from the source as it is now, transforms them as pinned, and compares digests. */
export async function auditSample(options: ComparedSample<AuditSource>, findings: Findings): Promise<void> {
  const sample = new Sample(options, findings);
  await withAuditSource(options.source, options.pins[0]!.plan, (source) => sample.run(source));
}

/** How a batch may have been read: rows come in the order of the plan that the server chose then. */
interface Reading {
  readonly careful: boolean;
  readonly ordered: boolean;
  /** Scans that the server may choose. */
  readonly scans: { readonly seq: boolean; readonly index: boolean };
}

interface Reread extends BatchNow {
  readonly sourceDigest: string;
  readonly outputDigest: string;
  /** Rows that a transformer refused. */
  readonly refused: number;
}

class Sample {
  /** By table; one for each of the pins. */
  private readonly tables = new Map<number, readonly TableThen[]>();
  private same = 0;
  private changed = 0;
  private rows = 0;
  /** Tables whose output cannot come out twice. */
  private readonly sealed = new Set<string>();
  /** Batches as they were whose output says nothing: not all of their rows are in it, or not in this order. */
  private incomplete = 0;

  constructor(
    private readonly options: ComparedSample<AuditSource>,
    private readonly findings: Findings,
  ) {}

  async run(source: Source): Promise<void> {
    for (const batch of this.options.batches) await this.batch(source, batch);
    const { length } = this.options.batches;
    for (const table of this.sealed)
      this.findings.add(
        'unchecked',
        'sample',
        `${table} has sealed columns: tokens have random salts, so its rows were compared with the source as it was read, and not with what was written. \`lethe validate\` opens the tokens.`,
        { table },
      );
    if (this.incomplete > 0)
      this.findings.add(
        'unchecked',
        'sample',
        `${this.incomplete} of the batches sent rows to quarantine, or were written row by row: they were compared with the source as it was read, and not with what was written.`,
      );
    this.findings.looked(
      'sample',
      `${length} batches with ${this.rows} rows read again: ${this.same} as they were, ${this.changed} changed at the source since`,
    );
  }

  private async batch(source: Source, batch: BatchRecord): Promise<void> {
    const { keys, run } = this.options;
    const tables = await this.tablesThen(source, batch.table);
    const bounds = openBounds(
      keys,
      { run, partition: batch.partition, batch: batch.batch },
      batch.facts.bounds,
    );
    let first: Reread | undefined;
    let matched: Reread | undefined;
    for (const { plan, reading } of tables) {
      if ('gone' in reading) {
        this.changed++;
        return this.change(batch, plan, `${reading.gone}: its rows cannot be compared.`);
      }
      for (const way of readings(bounds)) {
        const found = await reread(source, reading, plan, bounds, keys, way);
        first ??= found;
        if (found.sourceDigest !== batch.facts.sourceDigest) continue;
        matched = found;
        if (tables.some((one) => one.plan.columns.some(isSealed))) {
          this.sealed.add(tableText(plan.source));
          return this.asItWas(found);
        }
        if (way.careful || batch.facts.quarantined > 0) {
          this.incomplete++;
          return this.asItWas(found);
        }
        if (comesOut(batch, found)) return this.asItWas(found);
        break;
      }
    }
    const plan = tables[0]?.plan;
    if (!plan || !first) return;
    if (!matched) {
      this.changed++;
      this.rows += first.rows;
      return this.change(
        batch,
        plan,
        describeChange('rows', batch, first, await this.options.evidence(batch)),
      );
    }
    this.asItWas(matched);
    this.findings.add(
      'mismatch',
      'sample',
      `${batchText(batch, plan)}: its source rows are as they were, and do not come out as the ledger says. Its output digest was changed, or it was transformed otherwise.`,
      batchPlace(batch, plan),
    );
  }

  private asItWas({ rows }: Reread): void {
    this.same++;
    this.rows += rows;
  }

  private async tablesThen(source: Source, id: number): Promise<readonly TableThen[]> {
    const known = this.tables.get(id);
    if (known) return known;
    const { pins, keys, source: from } = this.options;
    const made: TableThen[] = [];
    for (const { plan: whole, runTime } of pins) {
      const plan = whole.tables.find((table) => table.id === id);
      if (!plan) continue;
      const now = await tableNow(source, plan, from.elsewhere);
      made.push({
        plan,
        reading: 'gone' in now ? now : await tableReading(source, now, { ...keys, sealing: BLIND }, runTime),
      });
    }
    this.tables.set(id, made);
    return made;
  }

  private change(batch: BatchRecord, plan: TablePlan, what: string): void {
    this.findings.add('changed', 'sample', `${batchText(batch, plan)}: ${what}`, batchPlace(batch, plan));
  }
}

/** A table as some pins have it, or why it cannot be read so any more. */
interface TableThen {
  readonly plan: TablePlan;
  readonly reading: TableReading | { readonly gone: string };
}

/** The same rows must come out as they did. */
function comesOut({ facts }: BatchRecord, found: Reread): boolean {
  return found.refused === 0 && found.outputDigest === facts.outputDigest;
}

/** The usual ones first. Where it was read without an order, the server's statistics may make it choose otherwise now. */
function readings(bounds: Bounds): Reading[] {
  const bounded = bounds.from !== null || bounds.to !== null;
  const scans = { seq: !bounded, index: true };
  const plain = { careful: false, ordered: false, scans };
  return [
    plain,
    { ...plain, ordered: true },
    { ...plain, careful: true, ordered: true },
    { ...plain, scans: { seq: true, index: false } },
  ];
}

async function reread(
  source: Source,
  table: TableReading,
  plan: TablePlan,
  bounds: Bounds,
  keys: JobKeys,
  reading: Reading,
): Promise<Reread> {
  const shape = reading.careful ? table.carefulShape : table.shape;
  const byKey = plan.key.kind === 'columns';
  await source.setBound('from', byKey ? bounds.from : null);
  await source.setBound('to', byKey ? bounds.to : null);
  const onOff = (on: boolean) => (on ? 'on' : 'off');
  await query(source.session, `SET LOCAL enable_seqscan = ${onOff(reading.scans.seq)}`);
  for (const scan of ['indexscan', 'indexonlyscan', 'bitmapscan']) {
    await query(source.session, `SET LOCAL enable_${scan} = ${onOff(reading.scans.index)}`);
  }
  try {
    return await readRows(
      source,
      table,
      shape,
      keys,
      table.ranges.rows(shape.select, bounds, 'to', reading.ordered),
    );
  } catch (error) {
    if (error instanceof LetheError) throw error;
    throw sanitize(error, `reading ${tableText(plan.source)}`);
  }
}

async function readRows(
  source: Source,
  { compiled }: TableReading,
  shape: RowShape,
  keys: JobKeys,
  select: string,
): Promise<Reread> {
  const reader = source.copy(select);
  const encoder = new RowEncoder();
  const [taken, written] = [createHash('sha256'), createHash('sha256')];
  const evidence: Buffer[] = [];
  let [rows, refused] = [0, 0];
  for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
    taken.update(chunk.bytes);
    const block = decodeRows(source.decode(chunk), shape.leading, shape.total);
    evidence.push(evidenceOf(keys, shape, block));
    const transformed = compiled.transform(shape.chunk(block));
    refused += transformed.failed.length;
    written.update(
      shape.leading === 0 ? block.bytes : encoder.encode(block, shape.output(transformed), shape.rest),
    );
    rows += block.size;
    reader.release(chunk);
  }
  return {
    ...{ rows, refused },
    sourceDigest: taken.digest('hex'),
    outputDigest: written.digest('hex'),
    evidence: Buffer.concat(evidence),
  };
}
