import vm from 'node:vm';
import { z } from 'zod';
import { misfit } from '../fit.js';
import { unpadded } from '../invalid.js';
import { createSandbox } from '../sandbox.js';
import { defineTransformer } from '../transformer.js';

/** A function of the job file. */
export const js = defineTransformer({
  name: 'js',
  version: 1,
  summary:
    'Calls a JavaScript function from the job file on each value, in a sandbox without host, clock or chance.',
  example: {
    options: { code: "value => hash(value).slice(0, 8) + '@' + value.split('@')[1]" },
    input: 'ann@example.com',
  },
  options: z.strictObject({
    code: z
      .string()
      .superRefine((code, context) => {
        const mistake = syntaxMistake(code);
        if (mistake !== undefined) context.addIssue({ code: 'custom', message: mistake });
      })
      .describe(
        'A function from the value (a text) to the new one: a text, number, boolean or null, or an object for a JSON column. It may call `random()` (0 to 1, the same for equal values) and `hash(text)` (32 hex digits), both keyed. Nothing is remembered between values, and there is no Date.',
      ),
    timeoutMs: z
      .int()
      .min(1)
      .max(10_000)
      .default(50)
      .describe('Longest time for one value, in milliseconds; a value that takes longer fails.'),
    memoryMb: z
      .int()
      .min(1)
      .max(256)
      .default(16)
      .describe('Memory of the sandbox, in MB; a value that needs more fails.'),
  }),
  shorthand: 'code',
  accepts: ({ kind, name }) =>
    !['array', 'bytea', 'other'].includes(kind) || `values of ${name} can only be kept or emptied`,
  proof: (type) => ({
    unique: 'no',
    mayEqualInput: true,
    keepsNull: false,
    total: type.equality === 'exact',
  }),
  compile: ({ options, type, prf }) => {
    const hash = (text: string) => Buffer.from(prf.bytes('js/hash', [text])).toString('hex');
    const sandbox = createSandbox({ ...options, json: type.kind === 'json', hash });
    return (column, chunk) => {
      const values = unpadded(type, column);
      const rows = values.flatMap((value, row) => (value === null ? [] : row));
      const given = rows.map((row) => values[row]!);
      const out: (string | null)[] = values.map(() => null);
      for (const [i, result] of sandbox.run(given, prf.bytes('js', given)).entries()) {
        const row = rows[i]!;
        const text = 'value' in result ? result.value : null;
        const reason =
          'failure' in result
            ? result.failure
            : text === null
              ? nullMistake(type.nullable)
              : misfit(type, text);
        if (reason === undefined) out[row] = text;
        else chunk.fail(row, 'failure' in result ? reason : `the function's result does not fit: ${reason}`);
      }
      return out;
    };
  },
});

function nullMistake(nullable: boolean): string | undefined {
  return nullable ? undefined : 'the column is NOT NULL';
}

/** Parsed, not run. */
function syntaxMistake(code: string): string | undefined {
  try {
    new vm.Script(`(${code}\n)`);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
