import type { Ff1 } from '../../crypto/ff1.js';
import type { ChunkContext, Column } from '../transformer.js';

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

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
  const half = (): { high: Uint32Array; low: Uint32Array } => ({
    high: new Uint32Array(rows.length),
    low: new Uint32Array(rows.length),
  });
  const upper = half();
  const lower = half();
  rows.forEach((row, i) => {
    const hex = values[row]!;
    const last = Number.parseInt(hex.slice(19, 23) + hex.slice(24, 28), 16);
    upper.low[i] = Number.parseInt(hex.slice(0, 8), 16);
    upper.high[i] = Number.parseInt(hex.slice(9, 13) + hex.slice(15, 18), 16) * 2 + ((last >>> 29) & 1);
    lower.low[i] = Number.parseInt(hex.slice(28), 16);
    lower.high[i] = last & 0x1fffffff;
  });
  ff1.wideBits(122, upper, lower);
  rows.forEach((row, i) => {
    const was = values[row]!;
    const middle = digits(upper.high[i]! >>> 1, 7);
    const variant = Number.parseInt(was[19]!, 16) & 0xc;
    const last = digits((variant * 2 ** 28 + (upper.high[i]! & 1) * 2 ** 29 + lower.high[i]!) >>> 0, 8);
    const tail = last.slice(4) + digits(lower.low[i]!, 8);
    out[row] =
      `${digits(upper.low[i]!, 8)}-${middle.slice(0, 4)}-${was[14]}${middle.slice(4)}-${last.slice(0, 4)}-${tail}`;
  });
  return out;
}

function digits(value: number, length: number): string {
  return value.toString(16).padStart(length, '0');
}
