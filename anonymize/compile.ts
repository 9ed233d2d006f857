import { LetheError } from '../errors/errors.js';
import { canonicalColumn } from './canonical.js';
import { canonicalPrf, type JobKeys, partPrf } from './keys.js';
import { getTransformer } from './registry.js';
import type {
  ChunkContext,
  Column,
  ColumnTransform,
  ColumnType,
  Prf,
  TransformerSpec,
} from './transformer.js';

/** What becomes of a table's columns: the part of a plan that transforming needs. */
export interface TableRuleSet {
  readonly columns: readonly ColumnRuleSet[];
  /** Columns of the row's key, for transformers that need `key`; empty when the table has none. */
  readonly key: readonly string[];
}

export interface ColumnRuleSet {
  readonly name: string;
  readonly type: ColumnType;
  /** First match wins; the last one has no `when`. */
  readonly branches: readonly RuleBranch[];
  readonly domain: string;
}

export interface RuleBranch {
  readonly rule: string;
  /** Index of the condition that must hold. */
  readonly when?: number;
  readonly apply: TransformerSpec;
  readonly otherwise?: TransformerSpec;
}

/** A domain's name, and the type that the transformer is compiled for in every member. */
export interface DomainRuleSet {
  readonly name: string;
  readonly type: ColumnType;
}

/** A chunk of rows before. */
export interface SourceChunk {
  readonly size: number;
  /** The values of a column that the table's `reads` names. */
  column(name: string): Column;
  /** By condition: 1 where the row fulfils it. Asked only for the conditions that `conditions` names. */
  condition(index: number): Uint8Array;
}

/** The chunk after. */
export interface TransformedChunk {
  /** New values, in the order of the table's `writes`. Failed rows hold null and must not be written. */
  readonly columns: readonly Column[];
  readonly failed: readonly FailedValue[];
  /** By rule name: values (not NULL) that the rule decided, over all columns of `writes`. */
  readonly rules: Readonly<Record<string, number>>;
  /** By column: outputs that equal their own input though their transformer says that they should not. */
  readonly equal: Readonly<Record<string, number>>;
}

/** A value that could not be transformed. The reason holds no value. A row may stand here once for each column. */
export interface FailedValue {
  readonly row: number;
  readonly column: string;
  readonly rule: string;
  readonly reason: string;
}

export interface CompiledTable {
  /** Columns that `transform` asks for. */
  readonly reads: readonly string[];
  /** Columns that get new values; all others stay as they are. */
  readonly writes: readonly string[];
  /** Indices of the conditions that `transform` asks for. */
  readonly conditions: readonly number[];
  transform(chunk: SourceChunk): TransformedChunk;
}

/**
 * Builds the function of one column.
 *
 * @param prf The function of the column's domain, from `jobKeys`.
 * @param shared The function that all columns of the job share; `prf` where there is only one column.
 */
export function compileColumn(
  spec: TransformerSpec,
  type: ColumnType,
  prf: Prf,
  shared: Prf = prf,
): ColumnTransform {
  const transformer = getTransformer(spec.name);
  const options = transformer.options.parse(spec.options);
  const accepted = transformer.accepts(type, options);
  if (accepted !== true)
    throw new LetheError('PlanRefused', `${spec.name} cannot take ${type.name}: ${accepted}`);
  return transformer.compile({
    options,
    type,
    prf: canonicalPrf(prf, type.equality),
    shared,
    nested: (inner, innerType, label) => compileColumn(inner, innerType, partPrf(prf, label), shared),
  });
}

/** Builds the functions of all columns of a table. Throws `PlanRefused` for what no valid plan holds. */
export function compileTable(
  table: TableRuleSet,
  keys: JobKeys,
  domains: readonly DomainRuleSet[] = [],
): CompiledTable {
  const columns = table.columns
    .filter((column) => column.branches.some((branch) => specs(branch).some(({ name }) => name !== 'keep')))
    .map((column) => compileBranches(column, table, keys, domains));
  const transformed = columns.flatMap(({ targets }) => targets);
  return {
    writes: columns.map(({ name }) => name),
    reads: [...new Set([...columns.map(({ name }) => name), ...transformed.flatMap(({ needs }) => needs)])],
    conditions: [...new Set(columns.flatMap(({ branches }) => branches.flatMap(({ when }) => when ?? [])))],
    transform(chunk) {
      const outcome: Outcome = { failed: [], rules: {}, equal: {} };
      const written = columns.map((column) => transformColumn(column, table.key, chunk, outcome));
      return { columns: written, ...outcome };
    },
  };
}

/** One transformer of one branch, ready to run. */
interface Target {
  readonly rule: string;
  readonly transform: ColumnTransform;
  readonly mayEqualInput: boolean;
  readonly needs: readonly string[];
}

interface CompiledColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly branches: readonly RuleBranch[];
  /** `apply` of branch b is target 2b, its `otherwise` target 2b + 1 (or a copy of `apply` where there is none). */
  readonly targets: readonly Target[];
}

interface Outcome {
  readonly failed: FailedValue[];
  readonly rules: Record<string, number>;
  readonly equal: Record<string, number>;
}

function specs(branch: RuleBranch): readonly TransformerSpec[] {
  return branch.otherwise ? [branch.apply, branch.otherwise] : [branch.apply];
}

function compileBranches(
  column: ColumnRuleSet,
  table: TableRuleSet,
  keys: JobKeys,
  domains: readonly DomainRuleSet[],
): CompiledColumn {
  const { branches, name } = column;
  const last = branches.at(-1);
  if (!last || (last.when !== undefined && !last.otherwise)) {
    throw new LetheError(
      'PlanRefused',
      `Column ${name} has rows that no rule decides: give it a rule without \`when\`.`,
    );
  }
  const type = typeInDomain(column, domains);
  const prf = keys.domain(column.domain);
  // No domain of a plan is nameless.
  const shared = keys.domain('');
  const target = (rule: string, spec: TransformerSpec): Target => {
    const transformer = getTransformer(spec.name);
    const options = transformer.options.parse(spec.options);
    const needs = transformer.needs?.(options) ?? [];
    if (needs.includes('key') && table.key.length === 0) {
      throw new LetheError(
        'PlanRefused',
        `Column ${name}: ${spec.name} needs the row's key, but its table has none. Name another column in its options.`,
      );
    }
    return {
      rule,
      transform: compileColumn(spec, type, prf, shared),
      mayEqualInput: transformer.proof(type, options).mayEqualInput,
      needs: needs.flatMap((need) => (need === 'key' ? table.key : need)),
    };
  };
  const targets = branches.flatMap(({ rule, apply, otherwise }) => {
    const first = target(rule, apply);
    return [first, otherwise ? target(rule, otherwise) : first];
  });
  return { name, type, branches, targets };
}

/** The domain's type, with the equality of whichever end is less exact: their values must meet in one text. */
function typeInDomain(column: ColumnRuleSet, domains: readonly DomainRuleSet[]): ColumnType {
  const domain = domains.find(({ name }) => name === column.domain)?.type;
  if (!domain) return column.type;
  const equality = domain.equality === 'exact' ? column.type.equality : domain.equality;
  return { ...domain, nullable: column.type.nullable, equality };
}

function transformColumn(
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
