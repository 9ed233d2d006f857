import { characters } from './characters.js';
import { dayRange, parseDate } from './dates.js';
import { atScale, parseDecimal } from './decimal.js';
import { parseAddress } from './ipaddress.js';
import { isInteger, numberRange } from './numbers.js';
import type { ColumnType } from './transformer.js';

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const OBJECT_ID = /^[0-9a-f]{24}$/;
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?:[+-]\d\d(?::?\d\d)?)?$/;
const INTERVAL =
  /^(?=.)(?:-?\d+ years? ?)?(?:-?\d+ mons? ?)?(?:-?\d+ days? ?)?(?:-?\d+:[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?)?$/;

/**
 * Why a text is no value of the type, in words that do not hold it; undefined when it is one. Stricter than the
 * database: what it says fits is stored without rounding or cutting.
 */
export function misfit(type: ColumnType, text: string): string | undefined {
  switch (type.kind) {
    case 'text':
      return textMisfit(type, text);
    case 'int2':
    case 'int4':
    case 'int8':
    case 'numeric':
    case 'float':
      return numberMisfit(type, text);
    case 'json':
      return isJson(text) ? undefined : 'it is not JSON';
    case 'inet':
      return addressMisfit(type, text);
    case 'enum':
      return type.enumValues?.includes(text) ? undefined : `it is no value of ${type.name}`;
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return dateMisfit(type, text);
    default:
      return patternMisfit(type, text);
  }
}

function textMisfit(type: ColumnType, text: string): string | undefined {
  if (text.includes('\0')) return 'it holds a zero character';
  const tooLong =
    type.maxLength !== undefined && text.length > type.maxLength && characters(text) > type.maxLength;
  return tooLong ? `it is longer than ${type.maxLength} characters` : undefined;
}

function numberMisfit(type: ColumnType, text: string): string | undefined {
  const decimal = parseDecimal(text);
  if (!decimal) return 'it is no finite number';
  if (isInteger(type) && !/^[+-]?\d+$/.test(text)) return 'it is no integer';
  const limit = type.kind === 'numeric' && type.precision !== undefined ? (type.scale ?? 0) : decimal.scale;
  if (decimal.scale > Math.max(limit, 0))
    return `it has more than ${Math.max(limit, 0)} digits after the point`;
  const range = numberRange(type, decimal.scale);
  const digits = atScale(decimal, decimal.scale);
  return range && (digits > range.max || digits < range.min)
    ? `it is beyond the range of ${type.name}`
    : undefined;
}

function addressMisfit(type: ColumnType, text: string): string | undefined {
  const address = parseAddress(text);
  if (!address) return 'it is no IP address';
  if (type.name === 'cidr' && !address.isNetwork) return 'it has bits set to the right of its mask';
  return undefined;
}

function dateMisfit(type: ColumnType, text: string): string | undefined {
  const date = parseDate(text);
  const { first, last } = dayRange(type.kind);
  const fits = date && date.day >= first && date.day <= last && (type.kind !== 'date' || date.rest === '');
  return fits
    ? undefined
    : `it is no ${type.kind} as PostgreSQL writes it (2024-02-29, 2024-02-29 12:00:00+00)`;
}

function patternMisfit(type: ColumnType, text: string): string | undefined {
  const patterns: Partial<Record<ColumnType['kind'], RegExp>> = {
    bool: /^(?:t|f|true|false)$/,
    uuid: UUID,
    objectId: OBJECT_ID,
    time: TIME,
    interval: INTERVAL,
    bytea: /^\\x(?:[0-9a-f]{2})*$/i,
    array: /^\{\}$/,
  };
  const pattern = patterns[type.kind];
  if (!pattern) return `values of ${type.name} can only be kept or emptied`;
  return pattern.test(text) ? undefined : `it is no ${type.kind}${type.kind === 'array' ? ' but {}' : ''}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
