import { dayOf, parseDate } from '../../anonymize/dates.js';
import { BSON, BsonMistake, int32, OLD_BINARY, UUID, writeInt32 } from './bson.js';
import { decimalText, writeDecimal } from './decimal128.js';

/** First and last millisecond of the years 1 to 9999, and of a day. */
const DAY = 86_400_000;
const FIRST_DATE = dayOf(1, 1, 1) * DAY;
const LAST_DATE = (dayOf(9999, 12, 31) + 1) * DAY - 1;
const WORD = 2 ** 32;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * A value as the text that transformers see. Undefined for what only some types have and no transformer reads: NaN, the
 * infinities, -0, dates outside of the years 1 to 9999.
 *
 * @param type A type byte of a column type other than `other`, or `UUID`.
 * @throws BsonMistake for text that is not UTF-8.
 */
export function readValue(bytes: Buffer, type: number, start: number, end: number): string | undefined {
  switch (type) {
    case BSON.string:
    case BSON.symbol:
      return readText(bytes, start + 4, end - 1);
    case BSON.int:
      return String(int32(bytes, start));
    case BSON.long:
      return readLong(bytes, start);
    case BSON.double:
      return readDouble(bytes.readDoubleLE(start));
    case BSON.decimal:
      return decimalText(bytes, start);
    case BSON.objectId:
      return bytes.toString('hex', start, end);
    case BSON.bool:
      return bytes[start] === 1 ? 'true' : 'false';
    case BSON.date:
      return readDate(bytes, start);
    case UUID:
      return dashed(bytes.toString('hex', start + 5, end));
    case BSON.binData:
      return `\\x${bytes.toString('hex', start + (bytes[start + 4] === OLD_BINARY ? 9 : 5), end)}`;
    default:
      return undefined;
  }
}

/** Text from UTF-8. */
export function readText(bytes: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    if (bytes[i]! >= 0x80) {
      try {
        return utf8.decode(bytes.subarray(start, end));
      } catch {
        throw new BsonMistake('a text that is not UTF-8');
      }
    }
  }
  return bytes.toString('latin1', start, end);
}

function readLong(bytes: Uint8Array, at: number): string {
  const low = int32(bytes, at) >>> 0;
  const high = int32(bytes, at + 4);
  if (high >= -0x200000 && high < 0x200000) return String(high * WORD + low);
  return ((BigInt(high) << 32n) | BigInt(low)).toString();
}

function readDouble(value: number): string | undefined {
  return Number.isFinite(value) && !Object.is(value, -0) ? String(value) : undefined;
}

function readDate(bytes: Uint8Array, at: number): string | undefined {
  const time = int32(bytes, at + 4) * WORD + (int32(bytes, at) >>> 0);
  return time >= FIRST_DATE && time <= LAST_DATE ? new Date(time).toISOString() : undefined;
}

function dashed(hex: string): string {
  const part = (from: number, to: number): string => hex.slice(from, to);
  return `${part(0, 8)}-${part(8, 12)}-${part(12, 16)}-${part(16, 20)}-${part(20, 32)}`;
}

/** Bytes of the types that `writeFixed` writes. */
export const FIXED_SIZES: ReadonlyMap<number, number> = new Map([
  [BSON.int, 4],
  [BSON.long, 8],
  [BSON.double, 8],
  [BSON.decimal, 16],
  [BSON.objectId, 12],
  [BSON.bool, 1],
  [BSON.date, 8],
  [UUID, 21],
]);

/** Writes the value that a text stands for; false when it is no value of the type. */
export function writeFixed(type: number, text: string, bytes: Buffer, at: number): boolean {
  switch (type) {
    case BSON.int:
      return writeInt(text, bytes, at);
    case BSON.long:
      return writeLong(text, bytes, at);
    case BSON.double:
      return writeDouble(text, bytes, at);
    case BSON.decimal:
      return writeDecimal(text, bytes, at);
    case BSON.objectId:
      return /^[0-9a-f]{24}$/i.test(text) && bytes.write(text, at, 'hex') === 12;
    case BSON.bool:
      bytes[at] = text === 't' || text === 'true' ? 1 : 0;
      return /^(?:t|f|true|false)$/.test(text);
    case BSON.date:
      return writeDate(text, bytes, at);
    case UUID:
      writeInt32(bytes, at, 16);
      bytes[at + 4] = 4;
      return UUID_TEXT.test(text) && bytes.write(text.replaceAll('-', ''), at + 5, 'hex') === 16;
    default:
      return false;
  }
}

const UUID_TEXT = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const INTEGER = /^[+-]?\d{1,20}$/;

function writeInt(text: string, bytes: Uint8Array, at: number): boolean {
  const value = Number(text);
  writeInt32(bytes, at, value);
  return INTEGER.test(text) && value === (value | 0);
}

function writeLong(text: string, bytes: Buffer, at: number): boolean {
  if (!INTEGER.test(text)) return false;
  const number = Number(text);
  if (Number.isSafeInteger(number)) {
    writeInt32(bytes, at, number % WORD);
    writeInt32(bytes, at + 4, Math.floor(number / WORD));
    return true;
  }
  const value = BigInt(text);
  if (value !== BigInt.asIntN(64, value)) return false;
  bytes.writeBigInt64LE(value, at);
  return true;
}

function writeDouble(text: string, bytes: Buffer, at: number): boolean {
  const value = Number(text);
  bytes.writeDoubleLE(value, at);
  return text.trim() !== '' && Number.isFinite(value);
}

const TIME =
  /^(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(?: ?(Z)|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)?$/;

/** ISO 8601; without a zone it is UTC. Milliseconds are all that fits. */
function writeDate(text: string, bytes: Uint8Array, at: number): boolean {
  const date = parseDate(text);
  const match = date && TIME.exec(date.rest);
  if (!match) return false;
  const [, hours = '0', minutes = '0', seconds = '0', fraction = '', , sign, ...zone] = match;
  if (/[1-9]/.test(fraction.slice(3))) return false;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return false;
  const clock = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  const [h = '0', m = '0', s = '0'] = zone;
  const offset = ((Number(h) * 60 + Number(m)) * 60 + Number(s)) * (sign === '-' ? -1 : 1);
  const time = date.day * DAY + (clock - offset) * 1000 + Number(fraction.slice(0, 3).padEnd(3, '0'));
  if (time < FIRST_DATE || time > LAST_DATE) return false;
  const high = Math.floor(time / WORD);
  writeInt32(bytes, at, time - high * WORD);
  writeInt32(bytes, at + 4, high);
  return true;
}
