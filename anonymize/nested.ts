import { lookup } from './spec.js';
import type { ChunkContext, ColumnType, TransformerSpec } from './transformer.js';

/** The type that text inside a value (a match, a JSON string) has for its nested transformer. */
export const NESTED_TEXT: ColumnType = { kind: 'text', name: 'text', nullable: true, equality: 'exact' };

/** A number or boolean of a document for a transformer that makes a string of it, whatever its type. */
export const NESTED_LEAF: ColumnType = {
  kind: 'json',
  name: 'JSON number or boolean',
  nullable: true,
  equality: 'exact',
};

/** Whether a nested transformer takes such values; the reason names it. */
export function acceptsNested(spec: TransformerSpec, type: ColumnType): true | string {
  const transformer = lookup(spec.name);
  if (!transformer) return `there is no transformer ${spec.name}`;
  const accepted = transformer.accepts(type, spec.options);
  return accepted === true || `${spec.name} cannot take a ${type.name}: ${accepted}`;
}

/** Columns that nested transformers read, together. */
export function nestedNeeds(specs: readonly TransformerSpec[]): string[] {
  return [...new Set(specs.flatMap((spec) => lookup(spec.name)?.needs?.(spec.options) ?? []))];
}

/** Whether every nested transformer depends on the key and its input alone. */
export function nestedTotal(specs: readonly TransformerSpec[], type: ColumnType): boolean {
  return specs.every((spec) => lookup(spec.name)?.proof(type, spec.options).total === true);
}

/** The chunk that a nested transformer sees: one entry for each part, which belongs to `rows[part]` of the chunk. */
export function partsChunk(chunk: ChunkContext, rows: readonly number[], where: string): ChunkContext {
  return {
    size: rows.length,
    fail: (part, reason) => chunk.fail(rows[part]!, `${where}: ${reason}`),
    source: (column) => {
      const values = chunk.source(column);
      return rows.map((row) => values[row]!);
    },
  };
}
