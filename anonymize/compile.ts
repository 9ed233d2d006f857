import { LetheError } from '../errors/errors.js';
import {
  type CompiledColumn,
  type FailedValue,
  type Outcome,
  type RuleBranch,
  type SourceChunk,
  type Target,
  transformColumn,
} from './branches.js';
import type { JobKeys } from './keys.js';
import { canonicalPrf, partPrf } from './prf.js';
import { getTransformer, versions } from './registry.js';
import { loadSandbox } from './sandbox.js';
import type { Column, ColumnTransform, ColumnType, Prf, Sealing, TransformerSpec } from './transformer.js';

export type { FailedValue, RuleBranch, SourceChunk } from './branches.js';

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

/** A domain's name, and the type that the transformer is compiled for in every member. */
export interface DomainRuleSet {
  readonly name: string;
  readonly type: ColumnType;
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
 * @param sealing For `retain`.
 */
export function compileColumn(
  spec: TransformerSpec,
  type: ColumnType,
  prf: Prf,
  shared: Prf = prf,
  sealing?: Sealing,
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
    ...(sealing && { sealing }),
    nested: (inner, innerType, label) =>
      compileColumn(inner, innerType, partPrf(prf, label), shared, sealing),
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

/** `compileTable`, after what its transformers need was loaded: the interpreter of `js`. What threads should call. */
export async function prepareTable(...given: Parameters<typeof compileTable>): Promise<CompiledTable> {
  const all = given[0].columns.flatMap(({ branches }) => branches.flatMap(specs));
  if ('js' in versions(all)) await loadSandbox();
  return compileTable(...given);
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
      transform: compileColumn(spec, type, prf, shared, keys.sealing),
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
