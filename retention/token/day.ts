import { LetheError } from '../../errors/errors.js';

/** A UTC day as `yyyy-mm-dd`, 2000-01-01 to 2099-12-31. */
export type Day = string;

/** Milliseconds of a UTC day. */
export const DAY_MS = 86_400_000;

/** Whether a text is a day that a token can name: `2026-02-28`, not `2026-02-29`, not `1999-12-31`. */
export function isDay(text: string): boolean {
  return /^20\d\d-\d\d-\d\d$/.test(text) && isDate(`${text.slice(2, 4)}${text.slice(5, 7)}${text.slice(8)}`);
}

/** Whether six digits are a real calendar day, as `yymmdd` with yy = 2000 to 2099. */
export function isDate(digits: string): boolean {
  const [year, month, day] = [0, 2, 4].map((at) => Number(digits.slice(at, at + 2))) as [
    number,
    number,
    number,
  ];
  const long = month === 2 ? (year % 4 === 0 ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return month >= 1 && month <= 12 && day >= 1 && day <= long;
}

/** `2026-02-28` → `260228`, as a token's header has it. */
export function dateOf(day: Day): string {
  return day.slice(2, 4) + day.slice(5, 7) + day.slice(8, 10);
}

/** `260228` → `2026-02-28`. */
export function dayOf(date: string): Day {
  return `20${date.slice(0, 2)}-${date.slice(2, 4)}-${date.slice(4, 6)}`;
}

/** The UTC day of a time in milliseconds since 1970. */
export function dayAt(time: number): Day {
  return new Date(time).toISOString().slice(0, 10);
}

/** The day so many days later (or earlier, below zero). */
export function addDays(day: Day, days: number): Day {
  return dayAt(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS);
}

const TIME =
  /^(\d{4}-\d\d-\d\d)(?:[ T]((?:[01]\d|2[0-3]):[0-5]\d)(?::[0-5]\d(?:[.,]\d+)?)?(?: ?(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?))?)?$/;

/**
 * The UTC day of a date, or of a time as databases and ISO 8601 write it: `2026-03-10`, `2026-03-10 23:30:00+00`,
 * `2026-03-11T01:00:00+05:00` (the 10th). Without an offset it is in UTC. Null where it is no time, or no token can name
 * its day.
 */
export function dayOfText(text: string | null | undefined): Day | null {
  const match = TIME.exec(text ?? '');
  if (!match) return null;
  const [, day, time, sign, hours, minutes = '0'] = match;
  if (sign === undefined || Number(hours) + Number(minutes) === 0) return isDay(day!) ? day! : null;
  const local = Date.parse(`${day}T${time}:00Z`);
  // Days that a month does not have would be taken for days of the next one.
  if (Number.isNaN(local) || dayAt(local) !== day) return null;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  const utc = dayAt(sign === '+' ? local - offset : local + offset);
  return isDay(utc) ? utc : null;
}

/** Throws `RetentionInvalid` where a text is no day; `what` says which one. */
export function requireDay(day: Day, what: string): Day {
  if (typeof day === 'string' && isDay(day)) return day;
  throw new LetheError(
    'RetentionInvalid',
    `${what} is not a day: write it as yyyy-mm-dd, from 2000-01-01 to 2099-12-31 (UTC).`,
  );
}
