import type { CompiledTable, SourceChunk, TransformedChunk } from '../../anonymize/compile.js';
import type { TablePlan } from '../../plan/plan.js';
import type { OutputField } from '../copy/encode.js';
import type { RowBlock } from '../copy/format.js';
import { renderExpression } from '../expressions.js';
import { quoteIdent } from '../identifiers.js';

/**
 * How a row travels. Fields stand in this order, so that only the first ones are looked at:
 *
 *   key* | conditions | read, not written | read and written || written as they are
 *
 * Those before the double bar are taken out; those before "read and written" are not written. *In careful mode only.
 */
export interface RowShape {
  /** What stands after SELECT. */
  readonly select: string;
  /** Columns of the destination, in the order in which they are written. */
  readonly into: readonly string[];
  /** Fields that are taken out, of how many. */
  readonly leading: number;
  readonly total: number;
  /** Key fields at the front. */
  readonly keys: number;
  /** Index of the first field that is written. */
  readonly firstWritten: number;
  /** Whether fields follow the leading ones. */
  readonly rest: boolean;
  /** The block as transformers see it. */
  chunk(block: RowBlock): SourceChunk;
  /** What to write for the leading fields. */
  output(transformed: TransformedChunk): OutputField[];
}

/** @param withKeys also select what identifies a row: its key columns, or where it lies. */
export function rowShape(
  plan: TablePlan,
  compiled: CompiledTable,
  runTime: string,
  withKeys = false,
): RowShape {
  const keys = withKeys ? keyFields(plan) : [];
  const conditions = compiled.conditions.map(
    (c) => `${renderExpression(plan.conditions[c]!, runTime)} IS TRUE`,
  );
  const planned = new Map(plan.columns.map((column) => [column.name, column]));
  const onlyRead = compiled.reads.filter((name) => !planned.has(name));
  const readAndWritten = compiled.reads.filter((name) => planned.has(name));
  const kept = plan.columns.filter(({ name }) => !compiled.reads.includes(name)).map(({ name }) => name);
  const firstWritten = keys.length + conditions.length + onlyRead.length;
  const leading = firstWritten + readAndWritten.length;
  const fieldOf = new Map(
    [...onlyRead, ...readAndWritten].map((name, i) => [name, keys.length + conditions.length + i]),
  );
  const select = [...keys, ...conditions, ...[...onlyRead, ...readAndWritten, ...kept].map(quoteIdent)];
  return {
    select: select.join(', '),
    into: [...readAndWritten, ...kept].map((name) => planned.get(name)!.destination),
    leading,
    total: select.length,
    keys: keys.length,
    firstWritten,
    rest: kept.length > 0,
    chunk: (block) => ({
      size: block.size,
      column: (name) => block.fields[fieldOf.get(name)!]!,
      condition: (index) => flags(block.fields[keys.length + compiled.conditions.indexOf(index)]!),
    }),
    output: ({ columns }) =>
      readAndWritten.map((name): OutputField => {
        const written = compiled.writes.indexOf(name);
        return written < 0
          ? { kind: 'raw', field: fieldOf.get(name)! }
          : { kind: 'values', values: columns[written]! };
      }),
  };
}

/** What tells a row of the table from the others: quoted. */
export function keyFields(plan: TablePlan): string[] {
  return plan.key.kind === 'columns' ? plan.key.columns.map(quoteIdent) : ['ctid'];
}

function flags(values: readonly (string | null)[]): Uint8Array {
  const out = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) if (values[i] === 't') out[i] = 1;
  return out;
}
