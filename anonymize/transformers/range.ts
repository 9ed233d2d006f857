import { z } from 'zod';
import { characters } from '../characters.js';
import { atScale, type Decimal, formatDecimal, parseDecimal } from '../decimal.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { isInteger, isNumber, numberRange, workingScale } from '../numbers.js';
import { type ColumnType, defineTransformer } from '../transformer.js';

const decimal = z
  .union([z.number(), z.string()])
  .transform(String)
  .refine((text) => parseDecimal(text) !== undefined, 'give a number');

/** Numbers become the bucket that they are in. */
export const range = defineTransformer({
  name: 'range',
  version: 1,
  summary: 'Replaces a number by the lower end of its bucket, in text columns by a label such as 30-39.',
  example: { options: { size: 10 }, input: '37', type: { kind: 'text', name: 'text' } },
  options: z.strictObject({
    size: decimal
      .refine((text) => parseDecimal(text)!.digits > 0n, 'give a positive number')
      .describe('Width of a bucket.'),
    start: decimal.default('0').describe('Where some bucket starts. Default 0.'),
    label: z
      .string()
      .default('{from}-{to}')
      .describe(
        'For text columns. `{to}` is the last integer of the bucket, or its open end where size or start have decimals.',
      ),
    onInvalid,
  }),
  shorthand: 'size',
  accepts: (type, options) => {
    if (type.kind !== 'text' && !isNumber(type)) return 'it takes numbers, or numbers in text';
    const scale = bucketScale(options);
    if (isInteger(type) && scale > 0) return 'size and start must be integers for an integer column';
    if (type.kind === 'numeric' && type.scale !== undefined && scale > Math.max(type.scale, 0)) {
      return `size and start have more digits after the point than ${type.name}`;
    }
    return acceptsInvalid(type, options.onInvalid);
  },
  proof: (_, options) => ({
    unique: 'no',
    mayEqualInput: true,
    keepsNull: options.onInvalid !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { options, type } = context;
    const finish = invalidRows(context);
    const print = printer(type, options);
    return (column, chunk) => {
      const values = unpadded(type, column);
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        const number = value === null ? undefined : parseDecimal(value);
        if (value !== null && !number) unread.push({ row, reason: 'not a finite number' });
        const text = number ? print(number) : null;
        if (text === null || type.maxLength === undefined || characters(text) <= type.maxLength) return text;
        chunk.fail(row, `the label is longer than ${type.maxLength} characters`);
        return null;
      });
      return finish(values, out, unread, chunk);
    };
  },
});

function bucketScale(options: { size: string; start: string }): number {
  return Math.max(parseDecimal(options.size)!.scale, parseDecimal(options.start)!.scale);
}

/** From a number to the text of its bucket. */
function printer(type: ColumnType, options: { size: string; start: string; label: string }) {
  const scale = bucketScale(options);
  const size = atScale(parseDecimal(options.size)!, scale);
  const start = atScale(parseDecimal(options.start)!, scale);
  return (number: Decimal): string => {
    const at =
      atScale(number, Math.max(scale, number.scale)) -
      start * 10n ** BigInt(Math.max(0, number.scale - scale));
    const width = size * 10n ** BigInt(Math.max(0, number.scale - scale));
    const from = ((at - (((at % width) + width) % width)) / width) * size + start;
    if (type.kind === 'text') {
      const to = scale === 0 ? from + size - 1n : from + size;
      return options.label
        .replaceAll('{from}', formatDecimal(from, scale))
        .replaceAll('{to}', formatDecimal(to, scale));
    }
    const limits = numberRange(type, scale);
    const lower = limits && from < limits.min ? limits.min : from;
    const shown = workingScale(type, scale);
    return formatDecimal(lower * 10n ** BigInt(shown - scale), shown);
  };
}
