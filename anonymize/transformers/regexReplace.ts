import { z } from 'zod';
import { characters } from '../characters.js';
import { acceptsInvalid, invalidRows, type Unread, unpadded } from '../invalid.js';
import { findAll, type Match } from '../matches.js';
import { acceptsNested, NESTED_TEXT, nestedNeeds, nestedTotal, partsChunk } from '../nested.js';
import { nestedSpec } from '../spec.js';
import {
  type ChunkContext,
  type Column,
  type CompileContext,
  defineTransformer,
  type TransformerSpec,
} from '../transformer.js';

const replacement = z
  .strictObject({
    pattern: z.string().min(1).describe('JavaScript regular expression, read with the flag `u`.'),
    flags: z
      .string()
      .regex(/^[ims]*$/, 'only i, m and s can be set')
      .default('')
      .describe(
        '`i`: letter case does not count; `m`: ^ and $ match at lines; `s`: the dot matches line ends.',
      ),
    group: z.int().min(0).default(0).describe('The group to replace; 0 is the whole match.'),
    with: z.string().optional().describe('Text to put, taken literally.'),
    apply: nestedSpec.optional().describe('Or the transformer to apply to what was found.'),
  })
  .superRefine((item, context) => {
    const mistake = patternMistake(item);
    if (mistake !== undefined) context.addIssue({ code: 'custom', message: mistake });
  });
type Replacement = z.infer<typeof replacement>;

const options = z.strictObject({
  replace: z
    .array(replacement)
    .min(1)
    .describe('What to find and what to put there. Where two would touch, the first in the list counts.'),
  unmatched: z
    .enum(['fail', 'keep', 'null', 'scramble'])
    .default('fail')
    .describe(
      'A value in which nothing is found: refuse the row, keep it as it is, empty it, or scramble it.',
    ),
  maxLength: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .describe('Longer values (UTF-16 units) fail: a bound for the time that a search may take.'),
  timeoutMs: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe('Longest search in one value, in milliseconds; a value that takes longer fails.'),
});
type Options = z.infer<typeof options>;

/** Replaces what patterns find inside a text. */
export const regexReplace = defineTransformer<Options>({
  name: 'regexReplace',
  version: 1,
  summary:
    'Replaces the parts of a text that patterns find, by a constant or through another transformer; the rest stays.',
  example: {
    options: { replace: [{ pattern: '\\d{3,}', apply: 'scramble' }] },
    input: 'Order 4711 for customer 1234567',
  },
  options,
  shorthand: 'replace',
  accepts: (type, { replace, unmatched }) => {
    if (type.kind !== 'text') return 'it takes text';
    const refused = replace
      .map(({ apply }) => !apply || acceptsNested(apply, NESTED_TEXT))
      .find((answer) => answer !== true);
    return refused ?? (unmatched === 'keep' || acceptsInvalid(type, unmatched));
  },
  proof: (type, { replace, unmatched }) => ({
    unique: 'no',
    mayEqualInput: true,
    keepsNull: unmatched !== 'null',
    total: type.equality === 'exact' && nestedTotal(specs(replace), NESTED_TEXT),
  }),
  needs: ({ replace }) => nestedNeeds(specs(replace)),
  compile,
});

function specs(replace: readonly Replacement[]): TransformerSpec[] {
  return replace.flatMap(({ apply }) => apply ?? []);
}

function patternMistake({ pattern, group, with: text, apply }: Replacement): string | undefined {
  if ((text === undefined) === (apply === undefined)) return 'give either with or apply';
  try {
    const groups = new RegExp(`${pattern}|`, 'u').exec('')!.length - 1;
    return group > groups ? `the pattern has ${groups} groups, so there is no group ${group}` : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function compile(context: CompileContext<Options>) {
  const { type, options } = context;
  const { unmatched } = options;
  const finish = invalidRows({
    ...context,
    options: { onInvalid: unmatched === 'keep' ? 'fail' : unmatched },
  });
  const patterns = options.replace.map(({ pattern, flags, group }) => ({
    regex: new RegExp(pattern, `${flags}gdu`),
    group,
  }));
  const replacers = options.replace.map(({ apply, with: text }, i) =>
    apply ? context.nested(apply, NESTED_TEXT, `match ${i}`) : (parts: Column) => parts.map(() => text!),
  );
  return (column: Column, chunk: ChunkContext) => {
    const values = unpadded(type, column);
    const searched = values.map((value) =>
      value !== null && value.length > options.maxLength ? null : value,
    );
    const found = findAll(searched, patterns, options.timeoutMs);
    const parts = replaceParts(searched, found, replacers, chunk);
    const unread: Unread[] = [];
    const out = values.map((value, row) => {
      if (value === null) return null;
      const matches = found[row];
      if (searched[row] === null || !matches) {
        chunk.fail(
          row,
          searched[row] === null
            ? `longer than ${options.maxLength}`
            : `the search took more than ${options.timeoutMs} ms, or too much memory`,
        );
        return null;
      }
      if (matches.length === 0) {
        if (unmatched === 'keep') return value;
        unread.push({ row, reason: 'no pattern matches' });
        return null;
      }
      const text = splice(value, matches, parts[row]!);
      if (type.maxLength === undefined || characters(text) <= type.maxLength) return text;
      chunk.fail(row, `the result is longer than ${type.maxLength} characters`);
      return null;
    });
    return finish(values, out, unread, chunk);
  };
}

/** New texts for all matches of all rows, pattern by pattern. */
function replaceParts(
  values: Column,
  found: readonly (readonly Match[] | undefined)[],
  replacers: readonly ((parts: Column, chunk: ChunkContext) => (string | null)[])[],
  chunk: ChunkContext,
): string[][] {
  const out = values.map((): string[] => []);
  for (const [pattern, replacer] of replacers.entries()) {
    const rows: number[] = [];
    const slots: number[] = [];
    const texts: string[] = [];
    for (const [row, matches] of found.entries()) {
      for (const [slot, match] of (matches ?? []).entries()) {
        if (match.pattern !== pattern) continue;
        rows.push(row);
        slots.push(slot);
        texts.push(values[row]!.slice(match.start, match.end));
      }
    }
    const replaced = replacer(texts, partsChunk(chunk, rows, `pattern ${pattern + 1}`));
    for (let i = 0; i < rows.length; i++) out[rows[i]!]![slots[i]!] = replaced[i] ?? '';
  }
  return out;
}

function splice(value: string, matches: readonly Match[], parts: readonly string[]): string {
  let out = '';
  let at = 0;
  for (const [i, { start, end }] of matches.entries()) {
    out += value.slice(at, start) + parts[i]!;
    at = end;
  }
  return out + value.slice(at);
}
