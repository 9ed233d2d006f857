import { z } from 'zod';
import { characters, mapPieces } from '../characters.js';
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
    const mark = options.with;
    const cover = mark === 'class' ? coverByClass : (text: string) => mark.repeat(characters(text));
    return (values) =>
      unpadded(type, values).map(
        (value) => value && maskText(value, options.keepFirst, options.keepLast, cover),
      );
  },
});

function maskText(value: string, first: number, last: number, cover: (text: string) => string): string {
  if (characters(value) <= first + last) return cover(value);
  const start = Array.from(value.slice(0, 2 * first))
    .slice(0, first)
    .join('').length;
  // A low surrogate at the cut belongs to a character further to the left.
  const tail = value.slice(Math.max(start, value.length - 2 * last - 1)).replace(/^[\udc00-\udfff]/, '');
  const end = value.length - (last === 0 ? 0 : Array.from(tail).slice(-last).join('').length);
  return value.slice(0, start) + cover(value.slice(start, end)) + value.slice(end);
}

function coverByClass(text: string): string {
  return mapPieces(text, (piece) =>
    piece
      .replace(/\p{Lu}/gu, 'X')
      .replace(/[\p{Ll}\p{Lt}\p{Lm}\p{Lo}]/gu, 'x')
      .replace(/\p{N}/gu, '0'),
  );
}
