import type { CompiledTable, TransformedChunk } from '../../anonymize/compile.js';
import { prepareTable } from '../../anonymize/compile.js';
import type { JobKeys } from '../../anonymize/keys.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import { decodeRows } from '../copy/decode.js';
import type { RowBlock } from '../copy/format.js';
import { sanitize } from '../errors.js';
import { quoteTable } from '../identifiers.js';
import { measure } from '../load/cut.js';
import { filterConditions, readParents } from '../load/filter.js';
import { type RowShape, rowShape } from '../load/shape.js';
import type { Source } from '../load/source.js';
import { query } from '../session.js';

/** A table as its inspection needs it. */
export interface InspectedTable {
  readonly plan: TablePlan;
  readonly compiled: CompiledTable;
  readonly shape: RowShape;
  /** Statements that read its sample, one a unit, and what they may give together. */
  readonly sample: Sample;
}

/** Which rows of the source are looked at. */
export interface Sample {
  /** The table is looked at whole. */
  readonly whole: boolean;
  /** Most rows, of all units. */
  readonly rows: number;
  /** What stands after `FROM`, one a unit, with its conditions and limit. */
  readonly from: readonly string[];
  /** The same for rows that changed since the run; empty when none can have. */
  readonly changed: readonly string[];
  /** Every row of the table as it is now. */
  readonly all: readonly string[];
}

export interface InspectOptions {
  readonly keys: JobKeys;
  /** ISO 8601, UTC; what `:run_time` stands for. */
  readonly runTime: string;
  /** Which blocks are sampled: equal seeds give equal samples. */
  readonly seed: number;
  /** SQL condition on a row of the source that is as it was when the run read it; absent when all are. */
  readonly unchanged?: string;
}

/** Blocks that a sample takes at least, so that it does not lie in one place. */
const LEAST_BLOCKS = 20;

/** @param rows Rows to look at, at most. */
export async function inspectedTable(
  source: Source,
  plan: TablePlan,
  rows: number,
  options: InspectOptions,
): Promise<InspectedTable> {
  const compiled = await prepareTable(
    { columns: plan.columns, key: plan.key.kind === 'columns' ? plan.key.columns : [] },
    options.keys,
    plan.columns.map(({ domain, compileType }) => ({ name: domain, type: compileType })),
  );
  const shape = rowShape(plan, compiled, options.runTime);
  return { plan, compiled, shape, sample: await sampleOf(source, plan, rows, options) };
}

/**
 * A sample by blocks: the source reads only those. `REPEATABLE` makes two statements under one snapshot see the same.
 */
async function sampleOf(
  source: Source,
  plan: TablePlan,
  wanted: number,
  options: InspectOptions,
): Promise<Sample> {
  const parents = await readParents(source.session, plan.semiJoins);
  const sizes: Awaited<ReturnType<typeof measure>>[] = [];
  for (const unit of plan.units) sizes.push(await measure(unit, source.session));
  const total = sizes.reduce((sum, { rows, pages }) => sum + guess(rows, pages), 0);
  const whole = wanted >= total;
  const share = Math.min(1, wanted / Math.max(1, total));
  const parts = plan.units.map((unit, at) => {
    const relation = quoteTable(unit);
    const { pages } = sizes[at]!;
    const percent = Math.min(100, Math.max(share * 110, (100 * LEAST_BLOCKS) / Math.max(1, pages)));
    const method =
      whole || percent >= 100
        ? ''
        : ` TABLESAMPLE SYSTEM (${percent.toFixed(6)}) REPEATABLE (${options.seed})`;
    const limit = whole ? '' : ` LIMIT ${Math.ceil(share * guess(sizes[at]!.rows, pages)) + 1}`;
    const filter = filterConditions(plan, relation, options.runTime, parents);
    const { unchanged } = options;
    const read = (more: readonly string[]) =>
      `ONLY ${relation}${method}${where([...filter, ...more])}${limit}`;
    return {
      from: read(unchanged === undefined ? [] : [unchanged]),
      changed: unchanged === undefined ? [] : [read([`NOT ${unchanged}`])],
      all: `ONLY ${relation}${where(filter)}`,
    };
  });
  return {
    whole,
    rows: whole ? Number.POSITIVE_INFINITY : wanted,
    from: parts.map(({ from }) => from),
    changed: parts.flatMap(({ changed }) => changed),
    all: parts.map(({ all }) => all),
  };
}

/** Rows of a unit; of one that was never analyzed, many to a page. */
function guess(rows: number, pages: number): number {
  return rows > 0 ? rows : pages * 60;
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
}

/** Rows of the sample that changed, or came, since the run read them. */
export async function countChanged(source: Source, { sample }: InspectedTable): Promise<number> {
  let count = 0;
  for (const part of sample.changed) {
    const [row] = await query(source.session, `SELECT count(*) AS n FROM (SELECT FROM ${part}) AS changed`);
    count += Number(row!.n);
  }
  return count;
}

/** A chunk of rows of the source with what the job makes of them. */
export interface SourceRows {
  readonly block: RowBlock;
  readonly transformed: TransformedChunk;
}

/**
 * Reads rows of the source and transforms them as the load did, about a megabyte at a time. What a step gives is valid
 * until the next.
 */
export async function* readSource(
  source: Source,
  { plan, compiled, shape }: InspectedTable,
  from: readonly string[],
): AsyncGenerator<SourceRows> {
  for (const part of from) {
    const reader = source.copy(`SELECT ${shape.select} FROM ${part}`);
    let whole = false;
    try {
      for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
        const block = decodeRows(source.decode(chunk), shape.leading, shape.total);
        yield { block, transformed: compiled.transform(shape.chunk(block)) };
        reader.release(chunk);
      }
      whole = true;
    } catch (error) {
      throw sanitize(error, `reading ${tableText(plan.source)} again`);
    } finally {
      if (!whole) await reader.drain();
    }
  }
}

/** What tells, years later, whether a row of the source is older than this transaction: its snapshot, as text. */
export async function snapshotText(source: Source): Promise<string> {
  const [row] = await query(source.session, 'SELECT pg_current_snapshot() AS snapshot');
  return row!.snapshot!;
}

/**
 * Condition that a row of the source is as it was under an earlier snapshot. Rows carry 32 bits of the transaction that
 * wrote them; the rest is that of now, or one less.
 *
 * @param snapshot From `snapshotText`, of the same server.
 */
export async function unchangedSince(source: Source, snapshot: string): Promise<string> {
  const [row] = await query(
    source.session,
    'SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS now, $1::pg_snapshot::text AS snapshot',
    [snapshot],
  );
  const now = BigInt(row!.now!);
  const epoch = now >> 32n;
  const low = now & 0xffff_ffffn;
  const id = 'xmin::text::bigint';
  const before = epoch === 0n ? 'NULL' : `${((epoch - 1n) << 32n).toString()} + ${id}`;
  const full = `CASE WHEN ${id} <= ${low} THEN ${(epoch << 32n).toString()} + ${id} ELSE ${before} END`;
  return `(${id} < 3 OR pg_visible_in_snapshot((${full})::text::xid8, '${row!.snapshot}'::pg_snapshot))`;
}
