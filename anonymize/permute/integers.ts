import type { Ff1 } from '../../crypto/ff1.js';
import { canonicalNumber } from '../canonical.js';
import type { ChunkContext, Column } from '../transformer.js';
import { DIGITS, parseUint64, writeUint64 } from './uint64.js';

const MINUS = 0x2d;
const WORD = 2 ** 32;

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
  const out: (string | null)[] = new Array(values.length).fill(null);
  const rows: number[] = [];
  const upper = new Uint32Array(values.length);
  const lower = new Uint32Array(values.length);
  const lowBits = Math.ceil(bits / 2);
  const half = 2 ** lowBits;
  const [highEnd, lowEnd] = bits > 32 ? [2 ** (bits - 32), WORD] : [1, 2 ** bits];
  const number = { high: 0, low: 0 };
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value === null) continue;
    if (!parseUint64(value, number) && !parseUint64(canonicalNumber(value), number)) {
      chunk.fail(row, INTEGER.test(canonicalNumber(value)) ? tooFar(bits, most) : 'not an integer');
    } else if (number.high === 0 && number.low === 0) {
      out[row] = '0';
    } else if (number.high >= highEnd || number.low >= lowEnd) {
      chunk.fail(row, tooFar(bits, most));
    } else {
      const carried = Math.floor(number.low / half);
      upper[rows.length] = number.high * (WORD / half) + carried;
      lower[rows.length] = number.low - carried * half;
      rows.push(row);
    }
  }
  walk(ff1, bits, upper.subarray(0, rows.length), lower.subarray(0, rows.length));
  spell(values, rows, lowBits, upper, lower, out);
  return out;
}

const INTEGER = /^-?[0-9]+$/;

function tooFar(bits: number, most: number): string {
  const wider = bits < most ? `; permute: { bits: ${most} } goes further` : '';
  return `further from 0 than 2^${bits} - 1, where permute ends here${wider}`;
}

function walk(ff1: Ff1, bits: number, upper: Uint32Array, lower: Uint32Array): void {
  ff1.bits(bits, upper, lower);
  for (let i = 0; i < upper.length; i++) {
    if (upper[i] === 0 && lower[i] === 0) ff1.bits(bits, upper.subarray(i, i + 1), lower.subarray(i, i + 1));
  }
}

/** Writes all numbers into one buffer: a conversion each would cost as much as encrypting them. */
function spell(
  values: Column,
  rows: readonly number[],
  lowBits: number,
  upper: Uint32Array,
  lower: Uint32Array,
  out: (string | null)[],
): void {
  const bytes = Buffer.allocUnsafe(rows.length * (DIGITS + 1));
  const ends = new Uint32Array(rows.length + 1);
  let at = 0;
  for (let i = 0; i < rows.length; i++) {
    const high = lowBits === 32 ? upper[i]! : upper[i]! >>> (32 - lowBits);
    const low = lowBits === 32 ? lower[i]! : ((upper[i]! << lowBits) | lower[i]!) >>> 0;
    if (values[rows[i]!]!.charCodeAt(0) === MINUS) bytes[at++] = MINUS;
    at = writeUint64(bytes, at, high, low);
    ends[i + 1] = at;
  }
  const text = bytes.toString('latin1', 0, at);
  for (let i = 0; i < rows.length; i++) out[rows[i]!] = text.slice(ends[i]!, ends[i + 1]!);
}
