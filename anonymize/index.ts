/**
 * The transformers as a library: pure functions from columns to columns.
 *
 * @example
 * ```ts
 * import { compileColumn, jobKeys, parseSpec } from 'lethe/anonymize';
 *
 * const parsed = parseSpec({ email: { keepDomain: true } });
 * if ('errors' in parsed) throw new Error(parsed.errors.join('\n'));
 * const type = { kind: 'text', name: 'text', nullable: true, equality: 'exact' } as const;
 * const transform = compileColumn(parsed.spec, type, jobKeys(key).domain('public.customer.email'));
 * transform(['ann@shop.test', null], chunk);
 * ```
 */

export type {
  ColumnRuleSet,
  CompiledTable,
  DomainRuleSet,
  FailedValue,
  RuleBranch,
  SourceChunk,
  TableRuleSet,
  TransformedChunk,
} from './compile.js';
export { compileColumn, compileTable, prepareTable } from './compile.js';
export { type JobKeys, jobKeys, parseJobKey } from './keys.js';
export {
  getTransformer,
  type ParsedSpec,
  parseSpec,
  specHash,
  specSchema,
  transformerNames,
  transformers,
  versions,
} from './registry.js';
export { loadSandbox } from './sandbox.js';
export type {
  ChunkContext,
  Column,
  ColumnTransform,
  ColumnType,
  CompileContext,
  Prf,
  Proof,
  Transformer,
  TransformerSpec,
  TypeKind,
} from './transformer.js';
export { defineTransformer } from './transformer.js';
