import type { Ff1 } from '../../crypto/ff1.js';
import { canonicalNumber } from '../canonical.js';
import type { ChunkContext, Column } from '../transformer.js';

const BILLION = 1e9;
const WORD = 2 ** 32;
/** 2^16 · 10^9 and 2^32, each by the other unit. */
const HIGH_BILLIONS = Math.floor((65536 * BILLION) / WORD);
const HIGH_BILLIONS_REST = (65536 * BILLION) % WORD;
const HIGH_WORDS_REST = (65536 * WORD) % BILLION;
const HIGH_WORDS = (65536 * WORD - HIGH_WORDS_REST) / BILLION;

/**
 * Permutes integers within [1, 2^bits) and their negatives likewise; 0 stays. FF1 over `bits` bits, applied again to the
 * one number that would become 0.
 *
 * @param most Bits that the column's type allows, for the reason of a refusal.
 */
export function permuteIntegers(
  ff1: Ff1,
  bits: number,
  most: number,
  values: Column,
  chunk: ChunkContext,
): (string | null)[] {
  const count = values.length;
  const upper = new Uint32Array(count);
  const lower = new Uint32Array(count);
  const lowBits = Math.ceil(bits / 2);
  const out: (string | null)[] = new Array(count).fill(null);
  const permuted: number[] = [];
  for (let row = 0; row < count; row++) {
    const value = values[row]!;
    if (value === null) continue;
    const digits = magnitude(value);
    if (digits === undefined) chunk.fail(row, 'not an integer');
    else if (digits === '0') out[row] = '0';
    else if (!split(digits, bits, lowBits, upper, lower, permuted.length))
      chunk.fail(row, tooLarge(bits, most));
    else permuted.push(row);
  }
  const size = permuted.length;
  walk(ff1, bits, upper.subarray(0, size), lower.subarray(0, size));
  for (let i = 0; i < size; i++) {
    const row = permuted[i]!;
    const text = decimal(upper[i]!, lower[i]!, lowBits);
    out[row] = values[row]!.startsWith('-') ? `-${text}` : text;
  }
  return out;
}

function walk(ff1: Ff1, bits: number, upper: Uint32Array, lower: Uint32Array): void {
  ff1.bits(bits, upper, lower);
  for (let i = 0; i < upper.length; i++) {
    if (upper[i] === 0 && lower[i] === 0) ff1.bits(bits, upper.subarray(i, i + 1), lower.subarray(i, i + 1));
  }
}

function tooLarge(bits: number, most: number): string {
  const wider = bits < most ? `; permute: { bits: ${most} } goes further` : '';
  return `further from 0 than 2^${bits} - 1, where permute ends here${wider}`;
}

const DIGITS = /^-?[1-9][0-9]{0,18}$/;

/** The digits of an integer without its sign; undefined when it is none. */
function magnitude(value: string): string | undefined {
  const plain = DIGITS.test(value) ? value : canonicalNumber(value);
  if (!/^-?[0-9]+$/.test(plain)) return undefined;
  return plain.startsWith('-') ? plain.slice(1) : plain;
}

/** Writes a number as two halves at an index; false when it does not fit. */
function split(
  digits: string,
  bits: number,
  lowBits: number,
  upper: Uint32Array,
  lower: Uint32Array,
  at: number,
): boolean {
  if (digits.length > 19) return false;
  let high = 0;
  let low = 0;
  if (digits.length < 16) {
    const number = Number(digits);
    high = Math.floor(number / WORD);
    low = number >>> 0;
  } else {
    const billions = Number(digits.slice(0, -9));
    const top = Math.floor(billions / 65536);
    const rest = top * HIGH_BILLIONS_REST + (billions % 65536) * BILLION + Number(digits.slice(-9));
    high = top * HIGH_BILLIONS + Math.floor(rest / WORD);
    low = rest % WORD;
  }
  if (bits <= 32 ? high > 0 || low >= 2 ** bits : high >= 2 ** (bits - 32)) return false;
  upper[at] = lowBits === 32 ? high : high * 2 ** (32 - lowBits) + (low >>> lowBits);
  lower[at] = lowBits === 32 ? low : low & (2 ** lowBits - 1);
  return true;
}

/** Joins two halves as a decimal text. */
function decimal(upper: number, lower: number, lowBits: number): string {
  const high = lowBits === 32 ? upper : upper >>> (32 - lowBits);
  const low = lowBits === 32 ? lower : ((upper << lowBits) | lower) >>> 0;
  if (high < 2 ** 21) return String(high * WORD + low);
  const top = high >>> 16;
  const words = high & 0xffff;
  const rest = top * HIGH_WORDS_REST + words * (WORD % BILLION) + low;
  const billions = top * HIGH_WORDS + words * Math.floor(WORD / BILLION) + Math.floor(rest / BILLION);
  return billions + String(BILLION + (rest % BILLION)).slice(1);
}
