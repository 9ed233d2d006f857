import type { Ff1, Halves } from '../../crypto/ff1.js';
import type { ChunkContext, Column } from '../transformer.js';

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const LENGTH = 36;
const DIGITS = Buffer.from('0123456789abcdef');

/**
 * Permutes UUIDs: version and variant stay, so a v4 stays a v4; the other 122 bits go through FF1.
 */
export function permuteUuids(ff1: Ff1, values: Column, chunk: ChunkContext): (string | null)[] {
  const out: (string | null)[] = new Array(values.length).fill(null);
  const rows: number[] = [];
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value === null) continue;
    if (UUID.test(value)) rows.push(row);
    else chunk.fail(row, 'not a UUID in lower case with dashes');
  }
  const texts = Buffer.from(rows.map((row) => values[row]).join(''), 'latin1');
  const upper = halves(rows.length);
  const lower = halves(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const at = i * LENGTH;
    const last = read(texts, at + 19, 4) * 0x10000 + read(texts, at + 24, 4);
    upper.low[i] = read(texts, at, 8);
    upper.high[i] = (read(texts, at + 9, 4) << 13) | (read(texts, at + 15, 3) << 1) | ((last >>> 29) & 1);
    lower.high[i] = last & 0x1fffffff;
    lower.low[i] = read(texts, at + 28, 8);
  }
  ff1.wideBits(122, upper, lower);
  for (let i = 0; i < rows.length; i++) {
    const at = i * LENGTH;
    const variant = read(texts, at + 19, 1) & 0b1100;
    const high = upper.high[i]!;
    write(texts, at, 8, upper.low[i]!);
    write(texts, at + 9, 4, high >>> 13);
    write(texts, at + 15, 3, high >>> 1);
    write(texts, at + 19, 4, (variant << 12) | ((high & 1) << 13) | (lower.high[i]! >>> 16));
    write(texts, at + 24, 4, lower.high[i]!);
    write(texts, at + 28, 8, lower.low[i]!);
  }
  const made = texts.toString('latin1');
  for (let i = 0; i < rows.length; i++) out[rows[i]!] = made.slice(i * LENGTH, (i + 1) * LENGTH);
  return out;
}

function halves(count: number): Halves {
  return { high: new Uint32Array(count), low: new Uint32Array(count) };
}

/** The number that hex digits in lower case write. */
function read(texts: Buffer, at: number, digits: number): number {
  let value = 0;
  for (let i = at; i < at + digits; i++) {
    const code = texts[i]!;
    value = (value << 4) | (code < 0x3a ? code - 0x30 : code - 0x57);
  }
  return value >>> 0;
}

/** Writes the lowest hex digits of a number. */
function write(texts: Buffer, at: number, digits: number, value: number): void {
  for (let i = digits - 1, rest = value; i >= 0; i--, rest >>>= 4) texts[at + i] = DIGITS[rest & 15]!;
}
