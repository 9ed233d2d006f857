import { type CompiledTable, prepareTable } from '../../anonymize/compile.js';
import type { JobKeys } from '../../anonymize/keys.js';
import type { TablePlan } from '../../plan/plan.js';
import type { TwinGuard } from '../ledger/twins.js';
import type { Session } from '../session.js';
import { filterConditions, readParents } from './filter.js';
import { hasKeepTable, keepTable } from './keep.js';
import { blockRanges, keyRanges, type RangeReader, readKeyColumns } from './reads.js';
import { type RowShape, rowShape } from './shape.js';
import { copySink, type RowSink, upsertSink } from './sink.js';
import type { Source } from './source.js';
import type { LoadProgress, LoadTable, PartitionTask } from './task.js';

/** What all tables of a task share. */
export interface TaskContext {
  readonly task: PartitionTask;
  readonly keys: JobKeys;
  readonly source: Source;
  readonly destination: Session;
  readonly guard: TwinGuard;
  readonly report: (progress: LoadProgress) => void;
  /** Written by this task so far. */
  readonly written: { rows: number; bytes: number };
  /** Milliseconds spent in transformers so far. */
  readonly clock: { transformMs: number };
}

/** How the rows of a table are read and transformed. */
export interface TableReading {
  readonly compiled: CompiledTable;
  readonly shape: RowShape;
  /** With the key in front of each row. */
  readonly carefulShape: RowShape;
  readonly ranges: RangeReader;
}

/** One table of a task, ready to be read and written. */
export interface TableContext extends TaskContext, TableReading {
  readonly table: LoadTable;
  /** Where rows go; both shapes write the same columns. */
  readonly sink: RowSink;
}

/** @param runTime ISO 8601, UTC; what `:run_time` stands for. */
export async function tableReading(
  source: Source,
  plan: TablePlan,
  keys: JobKeys,
  runTime: string,
): Promise<TableReading> {
  const compiled = await prepareTable(
    { columns: plan.columns, key: plan.key.kind === 'columns' ? plan.key.columns : [] },
    keys,
    plan.columns.map(({ domain, compileType }) => ({ name: domain, type: compileType })),
  );
  const parents = await readParents(source.session, plan.semiJoins);
  const filter = (relation: string) => filterConditions(plan, relation, runTime, parents);
  return {
    compiled,
    shape: rowShape(plan, compiled, runTime),
    carefulShape: rowShape(plan, compiled, runTime, true),
    ranges:
      plan.key.kind === 'ctid'
        ? blockRanges(plan, source, filter)
        : keyRanges(plan, await readKeyColumns(source.session, plan), source, filter),
  };
}

export async function tableContext(context: TaskContext, table: LoadTable): Promise<TableContext> {
  const { task, keys, source } = context;
  const { plan } = table;
  const reading = await tableReading(source, plan, keys, task.runTime);
  const { into } = reading.shape;
  const sink =
    task.mode === 'upsert'
      ? await upsertSink(
          context.destination,
          plan,
          into,
          plan.deleteMissing &&
            (task.work.kind !== 'rows' || (await hasKeepTable(context.destination, task.run, plan)))
            ? keepTable(task.run, plan)
            : undefined,
        )
      : copySink(context.destination, plan, into);
  return { ...context, ...reading, compiled: timed(reading.compiled, context.clock), table, sink };
}

function timed(compiled: CompiledTable, clock: TaskContext['clock']): CompiledTable {
  return {
    ...compiled,
    transform(chunk) {
      const began = performance.now();
      const transformed = compiled.transform(chunk);
      clock.transformMs += performance.now() - began;
      return transformed;
    },
  };
}
