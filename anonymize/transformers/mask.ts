import { z } from 'zod';
import { alphabetOf, characters } from '../characters.js';
import { unpadded } from '../invalid.js';
import { defineTransformer } from '../transformer.js';

const count = z.int().min(0).max(1000).default(0);

/** Hides characters, except some at the ends. */
export const mask = defineTransformer({
  name: 'mask',
  version: 1,
  summary: 'Hides every character, except some at the start or end; the length stays.',
  example: { options: { keepLast: 4 }, input: 'DE-4711-0815' },
  options: z.strictObject({
    keepFirst: count.describe('Characters at the start that stay.'),
    keepLast: count.describe(
      'Characters at the end that stay. A value no longer than keepFirst + keepLast is hidden whole.',
    ),
    with: z
      .string()
      .refine((text) => text === 'class' || characters(text) === 1, 'give one character, or class')
      .default('*')
      .describe(
        'The character to put, or `class`: x for letters, X for capitals, 0 for digits and numbers; the rest stays.',
      ),
  }),
  shorthand: 'keepLast',
  accepts: (type) => type.kind === 'text' || 'it takes text; use noise, range or constant',
  proof: () => ({ unique: 'no', mayEqualInput: true, keepsNull: true, total: true }),
  compile: ({ options, type }) => {
    const cover = options.with === 'class' ? classMark : () => options.with;
    return (values) =>
      unpadded(type, values).map(
        (value) => value && maskText(value, options.keepFirst, options.keepLast, cover),
      );
  },
});

function maskText(value: string, first: number, last: number, cover: (character: string) => string): string {
  const all = Array.from(value);
  const [from, to] = all.length <= first + last ? [0, all.length] : [first, all.length - last];
  return all.map((character, i) => (i >= from && i < to ? cover(character) : character)).join('');
}

function classMark(character: string): string {
  if (!alphabetOf(character.codePointAt(0)!)) return character;
  if (/\p{N}/u.test(character)) return '0';
  return /\p{Lu}/u.test(character) ? 'X' : 'x';
}
