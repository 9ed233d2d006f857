import { z } from 'zod';
import { type DateText, dayRange, formatDate, parseDate } from '../dates.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { defineTransformer } from '../transformer.js';

/** Moves dates, those of one row together. */
export const dateShift = defineTransformer({
  name: 'dateShift',
  version: 1,
  summary:
    'Moves a date by up to so many days, never by none; time of day stays, and dates of one row keep their distance.',
  example: { options: { days: 30 }, input: '1984-02-29', type: { kind: 'date', name: 'date' } },
  options: z.strictObject({
    days: z.int().min(1).max(36_500).default(30).describe('Largest shift, earlier or later.'),
    by: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Column of the row whose value decides the shift, such as `customer_id`. Default: the row's key.",
      ),
    onInvalid: onInvalid.describe(
      '`infinity` and what is no date: `fail` refuses the row, `null` empties the value, `scramble` (text columns) scrambles it.',
    ),
  }),
  shorthand: 'days',
  accepts: (type, options) =>
    ['date', 'timestamp', 'timestamptz', 'text'].includes(type.kind)
      ? acceptsInvalid(type, options.onInvalid)
      : 'it takes dates, timestamps, or ISO dates in text',
  proof: (_, options) => ({
    unique: 'no',
    mayEqualInput: false,
    keepsNull: options.onInvalid !== 'null',
    total: false,
  }),
  needs: ({ by }) => [by ?? 'key'],
  compile: (context) => {
    const { options, type, shared } = context;
    const finish = invalidRows(context);
    const { first, last } = dayRange(type.kind);
    const move = ({ day, rest }: DateText, shift: number) =>
      formatDate({ day: day + shift < first || day + shift > last ? day - shift : day + shift, rest });
    return (column, chunk) => {
      const values = unpadded(type, column);
      // Rows without a value in `by` share one shift.
      const by = chunk.source(options.by ?? 'key').map((value) => value ?? '');
      const random = Buffer.from(shared.bytes('dateShift', by));
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        const date = value === null ? undefined : parseDate(value);
        if (value !== null && !date) unread.push({ row, reason: 'not a finite date' });
        if (!date) return null;
        const days = 1 + Math.floor((random.readUInt32BE(row * 16) / 2 ** 32) * options.days);
        return move(date, random[row * 16 + 4]! & 1 ? days : -days);
      });
      return finish(values, out, unread, chunk);
    };
  },
});
