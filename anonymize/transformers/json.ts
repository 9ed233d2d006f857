import { z } from 'zod';
import { matcher, parsePath, type Step } from '../../json/path.js';
import { JsonMistake, type Leaf, scanLeaves } from '../../json/text.js';
import { characters } from '../characters.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { leafReplacer, type Rest } from '../jsonleaves.js';
import { NESTED_TEXT, nestedNeeds, nestedTotal } from '../nested.js';
import { nestedSpec } from '../spec.js';
import { type CompileContext, defineTransformer, type TransformerSpec } from '../transformer.js';

const options = z
  .object({
    rest: z
      .enum(['block', 'null', 'scramble', 'keep'])
      .or(z.null().transform(() => 'null' as const))
      .default('block')
      .describe(
        'Values that no path names: `block` (default) refuses the row, `null` empties them, `scramble` replaces letters and digits (false for booleans), `keep` keeps them.',
      ),
    onInvalid: onInvalid.describe(
      'Text that is not JSON: refuse the row, empty it, or scramble it (text columns).',
    ),
  })
  .catchall(nestedSpec)
  .superRefine((given, context) => {
    for (const path of Object.keys(given)) {
      const mistake = path === 'rest' || path === 'onInvalid' ? undefined : parsePath(path);
      if (typeof mistake === 'string') context.addIssue({ code: 'custom', path: [path], message: mistake });
    }
  });
type Options = { readonly rest: Rest; readonly onInvalid: 'fail' | 'null' | 'scramble' } & Record<
  string,
  unknown
>;

/** Applies transformers to parts of JSON documents. */
export const json = defineTransformer<Options>({
  name: 'json',
  version: 1,
  summary:
    'Applies a transformer to each path of a JSON document; types, order and names of members and the digits of untouched numbers stay.',
  example: {
    options: { '$.name': 'scramble', '$.tags[*]': { constant: 'x' }, '$.visits': 'keep' },
    input: '{"name": "Ann Lee", "tags": ["vip", "late"], "visits": 3.10}',
    type: { kind: 'json', name: 'jsonb' },
  },
  options: options as unknown as z.ZodType<Options>,
  accepts: (type, given) =>
    type.kind === 'json' || type.kind === 'text'
      ? acceptsInvalid(type, given.onInvalid)
      : 'it takes json, jsonb or text',
  proof: (type, given) => ({
    unique: 'no',
    mayEqualInput: true,
    keepsNull: given.onInvalid !== 'null',
    total:
      type.equality === 'exact' &&
      nestedTotal(
        paths(given).map(({ spec }) => spec),
        NESTED_TEXT,
      ),
  }),
  needs: (given) => nestedNeeds(paths(given).map(({ spec }) => spec)),
  compile: (context) => {
    const { options: given, type } = context;
    const finish = invalidRows(context);
    const root = matcher(paths(given).map(({ steps }) => steps));
    const replace = leafReplacer(context as CompileContext<unknown>, paths(given), given.rest);
    return (column, chunk) => {
      const values = unpadded(type, column);
      const unread: Unread[] = [];
      const leaves = values.map((value, row): readonly Leaf[] => {
        try {
          return value === null ? [] : scanLeaves(value, root);
        } catch (error) {
          if (!(error instanceof JsonMistake)) throw error;
          unread.push({ row, reason: error.message });
          return [];
        }
      });
      const bad = new Set(unread.map(({ row }) => row));
      const { texts, failed } = replace(values, leaves, chunk);
      const out = values.map((value, row) => {
        if (value === null || bad.has(row) || failed.has(row)) return null;
        const text = splice(value, leaves[row]!, texts[row]!);
        if (type.maxLength === undefined || characters(text) <= type.maxLength) return text;
        chunk.fail(row, `the result is longer than ${type.maxLength} characters`);
        return null;
      });
      return finish(values, out, unread, chunk);
    };
  },
});

export interface PathRule {
  readonly path: string;
  readonly steps: readonly Step[];
  readonly spec: TransformerSpec;
}

function paths(given: Options): PathRule[] {
  return Object.entries(given)
    .filter(([path]) => path.startsWith('$'))
    .map(([path, spec]) => ({
      path,
      steps: parsePath(path) as readonly Step[],
      spec: spec as TransformerSpec,
    }));
}

function splice(value: string, leaves: readonly Leaf[], texts: readonly (string | undefined)[]): string {
  let out = '';
  let at = 0;
  for (const [i, { start, end }] of leaves.entries()) {
    const text = texts[i];
    if (text === undefined) continue;
    out += value.slice(at, start) + text;
    at = end;
  }
  return out + value.slice(at);
}
