import { type Day, dayAt, isDay } from '../token/day.js';

const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)? ?(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?$/;
/** From here on a number counts milliseconds, below it seconds: 3 March 1973, or the year 5138. */
const MILLISECONDS = 1e11;

/**
 * The UTC day of a time: ISO 8601 (without an offset it is UTC), or seconds or milliseconds since 1970. Null where it is
 * none, or not from 2000 to 2099.
 */
export function dayOfTime(value: unknown): Day | null {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
  if (/^\d{1,16}(\.\d+)?$/.test(text)) {
    const number = Number(text);
    return dayOfMs(number >= MILLISECONDS ? number : number * 1_000);
  }
  const [, day, clock, zone] = TIME.exec(text) ?? [];
  if (!day || !isDay(day)) return null;
  if (!clock) return day;
  return dayOfMs(Date.parse(`${day}T${clock}${offset(zone)}`));
}

function offset(zone: string | undefined): string {
  if (!zone || zone === 'UTC') return 'Z';
  if (/^[+-]\d\d$/.test(zone)) return `${zone}:00`;
  return /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
}

function dayOfMs(time: number): Day | null {
  if (!Number.isFinite(time) || Math.abs(time) > 8.64e15) return null;
  const day = dayAt(time);
  return isDay(day) ? day : null;
}
