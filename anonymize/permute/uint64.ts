/*
 * Unsigned 64-bit integers as two 32-bit words, from and to decimal text, without BigInt: a column of keys is parsed and
 * written millions of times.
 */

const BILLION = 1e9;
const WORD = 2 ** 32;
/** 2^32 and 2^48 in billions, and what is left. */
const WORD_BILLIONS = Math.floor(WORD / BILLION);
const WORD_REST = WORD % BILLION;
const HIGH_REST = (65536 * WORD_REST) % BILLION;
const HIGH_BILLIONS = 65536 * WORD_BILLIONS + (65536 * WORD_REST - HIGH_REST) / BILLION;
/** 2^16 billions in words, and what is left. */
const TOP_WORDS = Math.floor((65536 * BILLION) / WORD);
const TOP_REST = (65536 * BILLION) % WORD;

/** Longest decimal text of a number below 2^63. */
export const DIGITS = 19;
/** A sum of products stays below 2^53 with so many digits. */
const PLAIN_DIGITS = 15;

/**
 * Reads up to 19 decimal digits, after a minus that is passed over; leading zeros are none of a canonical integer.
 *
 * @returns false, with the target undefined, when the text is anything else.
 */
export function parseUint64(text: string, to: { high: number; low: number }): boolean {
  const start = text.charCodeAt(0) === 0x2d ? 1 : 0;
  const length = text.length - start;
  if (length < 1 || length > DIGITS || (length > 1 && text.charCodeAt(start) === 0x30)) return false;
  const tail = length > PLAIN_DIGITS ? text.length - 9 : text.length;
  const head = digits(text, start, tail);
  if (Number.isNaN(head)) return false;
  if (tail === text.length) {
    to.high = Math.floor(head / WORD);
    to.low = head >>> 0;
    return true;
  }
  const ones = digits(text, tail, text.length);
  if (Number.isNaN(ones)) return false;
  const top = Math.floor(head / 65536);
  const rest = top * TOP_REST + (head - top * 65536) * BILLION + ones;
  to.high = top * TOP_WORDS + Math.floor(rest / WORD);
  to.low = rest % WORD;
  return true;
}

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Writes a number below 2^63 in decimal at an index; returns the index behind it. */
export function writeUint64(bytes: Uint8Array, at: number, high: number, low: number): number {
  if (high === 0) return writeShort(bytes, at, low);
  const top = high >>> 16;
  const words = high & 0xffff;
  const rest = top * HIGH_REST + words * WORD_REST + low;
  const carry = Math.floor(rest / BILLION);
  const ones = rest - carry * BILLION;
  const billions = top * HIGH_BILLIONS + words * WORD_BILLIONS + carry;
  const first = Math.floor(billions / BILLION);
  if (first === 0) return writeNine(bytes, writeShort(bytes, at, billions), ones);
  return writeNine(bytes, writeNine(bytes, writeShort(bytes, at, first), billions - first * BILLION), ones);
}

function writeNine(bytes: Uint8Array, at: number, value: number): number {
  for (let i = at + 8, rest = value | 0; i >= at; i--) {
    const next = (rest / 10) | 0;
    bytes[i] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + 9;
}

/** A number below 2^32 without leading zeros. */
function writeShort(bytes: Uint8Array, at: number, value: number): number {
  if (value >= BILLION) {
    const first = Math.floor(value / BILLION);
    bytes[at] = 0x30 + first;
    return writeNine(bytes, at + 1, value - first * BILLION);
  }
  let length = 1;
  for (let limit = 10; limit <= value; limit *= 10) length++;
  for (let i = at + length - 1, rest = value; i >= at; i--) {
    const next = Math.floor(rest / 10);
    bytes[i] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + length;
}
