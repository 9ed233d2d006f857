import type { TypeKind } from './transformer.js';

/** A date as PostgreSQL or ISO 8601 writes it, with what follows it untouched. */
export interface DateText {
  /** Days since 1970-01-01, proleptic Gregorian. */
  readonly day: number;
  /** Time of day, zone and the letter or blank before them; '' for a date alone. */
  readonly rest: string;
}

const DATE =
  /^(\d{4,7})-(\d\d)-(\d\d)((?:[ T]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?)( BC)?$/;

/**
 * Reads `2024-02-29`, `2024-02-29 12:00:00.5+00`, `2024-02-29T12:00:00Z`, `0044-03-15 BC`, `12024-01-01`; undefined for
 * anything else, `infinity` and days that no calendar has included.
 */
export function parseDate(text: string): DateText | undefined {
  const match = DATE.exec(text);
  if (!match) return undefined;
  const [, years, months, days, rest = '', bc] = match;
  const year = bc ? 1 - Number(years) : Number(years);
  const day = dayOf(year, Number(months), Number(days));
  const back = civil(day);
  if ((!bc && Number(years) === 0) || back.month !== Number(months) || back.day !== Number(days))
    return undefined;
  return { day, rest };
}

/** The opposite of `parseDate`. */
export function formatDate({ day, rest }: DateText): string {
  const { year, month, day: dayOfMonth } = civil(day);
  const years = String(year > 0 ? year : 1 - year).padStart(4, '0');
  return `${years}-${two(month)}-${two(dayOfMonth)}${rest}${year > 0 ? '' : ' BC'}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/**
 * Days since 1970-01-01 of a proleptic Gregorian date; year 0 is 1 BC. Exact over PostgreSQL's whole range
 * (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
 */
export function dayOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The date of a day number (the same source, civil_from_days). */
export function civil(day: number): { readonly year: number; readonly month: number; readonly day: number } {
  const z = day + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  };
}

/** First and last day that a type holds: PostgreSQL's limits, and the years 1 to 9999 for text. */
export function dayRange(kind: TypeKind): { readonly first: number; readonly last: number } {
  if (kind === 'text') return { first: dayOf(1, 1, 1), last: dayOf(9999, 12, 31) };
  const lastYear = kind === 'date' ? 5_874_897 : 294_276;
  return { first: dayOf(-4713, 11, 24), last: dayOf(lastYear, 12, 31) };
}
