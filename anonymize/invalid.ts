import { z } from 'zod';
import { scrambler } from './scrambler.js';
import type { ChunkContext, Column, ColumnType, CompileContext } from './transformer.js';

export type OnInvalid = 'fail' | 'null' | 'scramble';

/** The option of every transformer that has to read its input. */
export const onInvalid = z
  .enum(['fail', 'null', 'scramble'])
  .default('fail')
  .describe(
    'A value that cannot be read: `fail` refuses the row, `null` empties the value, `scramble` (text columns) scrambles it.',
  );

/** Whether the column can take what `onInvalid` puts in. */
export function acceptsInvalid(type: ColumnType, mode: OnInvalid): true | string {
  if (mode === 'null' && !type.nullable) return 'onInvalid: null needs a column that may be NULL; use fail';
  if (mode === 'scramble' && type.kind !== 'text')
    return 'onInvalid: scramble needs a text column; use fail or null';
  return true;
}

/** Rows that could not be read, with the reason. */
export interface Unread {
  readonly row: number;
  readonly reason: string;
}

/**
 * Builds what ends a transformer's pass over a column: puts the result of `onInvalid` in the place of every unread
 * value. A scrambled value that stayed what it was (nothing in it to scramble) fails.
 */
export function invalidRows(
  context: CompileContext<{ readonly onInvalid: OnInvalid }>,
): (
  values: Column,
  out: (string | null)[],
  unread: readonly Unread[],
  chunk: ChunkContext,
) => (string | null)[] {
  const mode = context.options.onInvalid;
  const scramble = mode === 'scramble' ? scrambler(context.prf, 'onInvalid') : undefined;
  return (values, out, unread, chunk) => {
    const scrambled = scramble?.(unread.map(({ row }) => values[row]!)) ?? [];
    for (const [i, { row, reason }] of unread.entries()) {
      const replacement = scrambled[i] ?? null;
      out[row] = replacement === values[row] ? null : replacement;
      if (mode !== 'null' && out[row] === null) chunk.fail(row, reason);
    }
    return out;
  };
}

/** The values without the blanks that pad char(n); the database pads the results again. */
export function unpadded(type: ColumnType, values: Column): Column {
  return type.equality === 'padded' ? values.map((value) => value?.replace(/ +$/, '') ?? null) : values;
}
