import { z } from 'zod';
import { civil, type DateText, dayOf, dayRange, formatDate, parseDate } from '../dates.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { defineTransformer } from '../transformer.js';

const UNITS = ['year', 'quarter', 'month', 'week', 'day', 'hour'] as const;

/** Dates become the start of their year, month, … */
export const dateTruncate = defineTransformer({
  name: 'dateTruncate',
  version: 1,
  summary:
    'Replaces a date by the first moment of its year, quarter, month, week (from Monday), day or hour.',
  example: { options: { to: 'quarter' }, input: '1984-02-29', type: { kind: 'date', name: 'date' } },
  options: z.strictObject({
    to: z.enum(UNITS).default('year').describe('What is left of the date.'),
    onInvalid: onInvalid.describe(
      '`infinity` and what is no date: `fail` refuses the row, `null` empties the value, `scramble` (text columns) scrambles it.',
    ),
  }),
  shorthand: 'to',
  accepts: (type, options) => {
    if (!['date', 'timestamp', 'timestamptz', 'text'].includes(type.kind)) {
      return 'it takes dates, timestamps, or ISO dates in text';
    }
    const whole = type.kind === 'date' && (options.to === 'day' || options.to === 'hour');
    return whole
      ? 'a date has no time of day to cut off; use week or more'
      : acceptsInvalid(type, options.onInvalid);
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
    const { first } = dayRange(type.kind);
    return (column, chunk) => {
      const values = unpadded(type, column);
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        const date = value === null ? undefined : parseDate(value);
        if (value !== null && !date) unread.push({ row, reason: 'not a finite date' });
        return date
          ? formatDate({ day: Math.max(first, start(date, options.to)), rest: time(date, options.to) })
          : null;
      });
      return finish(values, out, unread, chunk);
    };
  },
});

function start({ day }: DateText, unit: (typeof UNITS)[number]): number {
  const { year, month } = civil(day);
  if (unit === 'year') return dayOf(year, 1, 1);
  if (unit === 'quarter') return dayOf(year, month - ((month - 1) % 3), 1);
  if (unit === 'month') return dayOf(year, month, 1);
  // 1970-01-01 was a Thursday.
  return unit === 'week' ? day - ((((day + 3) % 7) + 7) % 7) : day;
}

/** The time with zeros, in the form that it had; the zone stays. */
function time({ rest }: DateText, unit: (typeof UNITS)[number]): string {
  const clock = /^([ T])(\d\d)([^Z+-]*)(.*)$/.exec(rest);
  if (!clock) return rest;
  const [, separator, hour, smaller, zone] = clock;
  return `${separator}${unit === 'hour' ? hour : '00'}${smaller!.replace(/\d/g, '0')}${zone}`;
}
