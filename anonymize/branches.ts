import { LetheError } from '../errors/errors.js';
import { canonicalColumn } from './canonical.js';
import type { ChunkContext, Column, ColumnTransform, ColumnType, TransformerSpec } from './transformer.js';

export interface RuleBranch {
  readonly rule: string;
  /** Index of the condition that must hold. */
  readonly when?: number;
  readonly apply: TransformerSpec;
  readonly otherwise?: TransformerSpec;
}

/** A chunk of rows before. */
export interface SourceChunk {
  readonly size: number;
  /** The values of a column that the table's `reads` names. */
  column(name: string): Column;
  /** By condition: 1 where the row fulfils it. Asked only for the conditions that `conditions` names. */
  condition(index: number): Uint8Array;
}

/** A value that could not be transformed. The reason holds no value. A row may stand here once for each column. */
export interface FailedValue {
  readonly row: number;
  readonly column: string;
  readonly rule: string;
  readonly reason: string;
}

/** One transformer of one branch, ready to run. */
export interface Target {
  readonly rule: string;
  readonly transform: ColumnTransform;
  readonly mayEqualInput: boolean;
  readonly needs: readonly string[];
}

export interface CompiledColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly branches: readonly RuleBranch[];
  /** `apply` of branch b is target 2b, its `otherwise` target 2b + 1 (or a copy of `apply` where there is none). */
  readonly targets: readonly Target[];
}

export interface Outcome {
  readonly failed: FailedValue[];
  readonly rules: Record<string, number>;
  readonly equal: Record<string, number>;
}

/**
 * Transforms one column of a chunk: each transformer sees the rows of its branch as a dense chunk of their own. A column
 * with one branch is passed on whole.
 */
export function transformColumn(
  column: CompiledColumn,
  key: readonly string[],
  chunk: SourceChunk,
  outcome: Outcome,
): Column {
  const values = chunk.column(column.name);
  const only =
    column.branches.length === 1 && column.branches[0]!.when === undefined ? column.targets[0] : undefined;
  if (only)
    return runTarget(only, column, values, denseChunk(only, column.name, key, chunk, outcome), outcome);
  const out: (string | null)[] = new Array(chunk.size).fill(null);
  routes(column, chunk).forEach((rows, t) => {
    if (rows.length === 0) return;
    const target = column.targets[t]!;
    const context = gatheredChunk(target, column.name, key, chunk, rows, outcome);
    const part = runTarget(target, column, gather(values, rows), context, outcome);
    for (let i = 0; i < rows.length; i++) out[rows[i]!] = part[i]!;
  });
  return out;
}

/** The rows of each target. */
function routes({ branches, targets }: CompiledColumn, chunk: SourceChunk): number[][] {
  const rows: number[][] = targets.map(() => []);
  const flags = branches.map(({ when }) => (when === undefined ? undefined : chunk.condition(when)));
  for (let row = 0; row < chunk.size; row++) {
    for (let b = 0; b < branches.length; b++) {
      const flag = flags[b];
      const holds = flag === undefined || flag[row] === 1;
      if (!holds && !branches[b]!.otherwise) continue;
      rows[holds ? 2 * b : 2 * b + 1]!.push(row);
      break;
    }
  }
  return rows;
}

function runTarget(
  target: Target,
  column: CompiledColumn,
  values: Column,
  context: ChunkContext,
  outcome: Outcome,
): Column {
  const out = target.transform(values, context);
  if (out.length !== values.length) {
    throw new LetheError('Internal', `Rule ${target.rule} gave ${out.length} values for ${values.length}.`);
  }
  let decided = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== null) decided++;
  outcome.rules[target.rule] = (outcome.rules[target.rule] ?? 0) + decided;
  if (!target.mayEqualInput) {
    const equal = countEqual(values, out, column.type);
    if (equal > 0) outcome.equal[column.name] = (outcome.equal[column.name] ?? 0) + equal;
  }
  return out;
}

/** Rows whose value came out as it was, as the column compares values. */
function countEqual(values: Column, out: Column, type: ColumnType): number {
  const before = canonicalColumn(values, type.equality);
  const after = canonicalColumn(out, type.equality);
  let equal = 0;
  for (let i = 0; i < before.length; i++) {
    const value = before[i]!;
    if (value !== null && value === after[i] && tells(value, type)) equal++;
  }
  return equal;
}

/** An empty text and the number 0 stand for "nothing" and stay what they are. */
function tells(value: string, type: ColumnType): boolean {
  return type.kind === 'text' ? value.trim() !== '' : value !== '0';
}

function denseChunk(
  { rule }: Target,
  column: string,
  key: readonly string[],
  chunk: SourceChunk,
  { failed }: Outcome,
): ChunkContext {
  return {
    size: chunk.size,
    fail: (row, reason) => void failed.push({ row, column, rule, reason }),
    source: (name) => (name === 'key' ? keyTexts(key, chunk) : chunk.column(name)),
  };
}

/** The rows of one branch as a chunk of their own. */
function gatheredChunk(
  target: Target,
  column: string,
  key: readonly string[],
  chunk: SourceChunk,
  rows: readonly number[],
  outcome: Outcome,
): ChunkContext {
  const whole = denseChunk(target, column, key, chunk, outcome);
  return {
    size: rows.length,
    fail: (row, reason) => whole.fail(rows[row]!, reason),
    source: (name) => gather(whole.source(name), rows),
  };
}

function gather(values: Column, rows: readonly number[]): (string | null)[] {
  const out: (string | null)[] = new Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = values[rows[i]!]!;
  return out;
}

/** A row's key as one text: the column itself, or all columns with their lengths, so that no two keys meet. */
function keyTexts(key: readonly string[], chunk: SourceChunk): Column {
  const columns = key.map((name) => chunk.column(name));
  if (columns.length === 1) return columns[0]!;
  return Array.from({ length: chunk.size }, (_, row) =>
    columns.map((column) => `${column[row]?.length ?? '-'}:${column[row] ?? ''}`).join(','),
  );
}
