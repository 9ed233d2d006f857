import { type CompiledTable, prepareTable } from '../../anonymize/compile.js';
import type { JobKeys } from '../../anonymize/keys.js';
import type { TwinGuard } from '../ledger/twins.js';
import type { Session } from '../session.js';
import { filterConditions, readParents } from './filter.js';
import { keepTable } from './keep.js';
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
}

/** One table of a task, ready to be read and written. */
export interface TableContext extends TaskContext {
  readonly table: LoadTable;
  readonly compiled: CompiledTable;
  readonly shape: RowShape;
  /** With the key in front of each row. */
  readonly carefulShape: RowShape;
  readonly ranges: RangeReader;
  /** Where rows go; both shapes write the same columns. */
  readonly sink: RowSink;
}

export async function tableContext(context: TaskContext, table: LoadTable): Promise<TableContext> {
  const { task, keys, source } = context;
  const { plan } = table;
  const compiled = await prepareTable(
    { columns: plan.columns, key: plan.key.kind === 'columns' ? plan.key.columns : [] },
    keys,
    plan.columns.map(({ domain, compileType }) => ({ name: domain, type: compileType })),
  );
  const parents = await readParents(source.session, plan.semiJoins);
  const filter = (relation: string) => filterConditions(plan, relation, task.runTime, parents);
  const shape = rowShape(plan, compiled, task.runTime);
  const sink =
    task.mode === 'upsert'
      ? await upsertSink(
          context.destination,
          plan,
          shape.into,
          plan.deleteMissing ? keepTable(task.run, plan) : undefined,
        )
      : copySink(context.destination, plan, shape.into);
  return {
    ...context,
    table,
    compiled,
    shape,
    carefulShape: rowShape(plan, compiled, task.runTime, true),
    sink,
    ranges:
      plan.key.kind === 'ctid'
        ? blockRanges(plan, source, filter)
        : keyRanges(plan, await readKeyColumns(source.session, plan), source, filter),
  };
}
