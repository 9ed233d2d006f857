import type { Ff1, Halves } from '../../crypto/ff1.js';
import type { ChunkContext, Column } from '../transformer.js';

const OBJECT_ID = /^[0-9a-f]{24}$/;
const BYTES = 12;

/** Permutes ObjectIds: all 96 bits go through FF1, so that nothing is left of the time that an ObjectId tells. */
export function permuteObjectIds(ff1: Ff1, values: Column, chunk: ChunkContext): (string | null)[] {
  const out: (string | null)[] = new Array(values.length).fill(null);
  const rows: number[] = [];
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value === null) continue;
    if (OBJECT_ID.test(value)) rows.push(row);
    else chunk.fail(row, 'not 24 hex digits in lower case');
  }
  const bytes = Buffer.from(rows.map((row) => values[row]).join(''), 'hex');
  const upper = halves(rows.length);
  const lower = halves(rows.length);
  for (let i = 0; i < rows.length; i++) {
    upper.high[i] = bytes.readUInt16BE(i * BYTES);
    upper.low[i] = bytes.readUInt32BE(i * BYTES + 2);
    lower.high[i] = bytes.readUInt16BE(i * BYTES + 6);
    lower.low[i] = bytes.readUInt32BE(i * BYTES + 8);
  }
  ff1.wideBits(BYTES * 8, upper, lower);
  for (let i = 0; i < rows.length; i++) {
    bytes.writeUInt16BE(upper.high[i]!, i * BYTES);
    bytes.writeUInt32BE(upper.low[i]!, i * BYTES + 2);
    bytes.writeUInt16BE(lower.high[i]!, i * BYTES + 6);
    bytes.writeUInt32BE(lower.low[i]!, i * BYTES + 8);
  }
  const made = bytes.toString('hex');
  for (let i = 0; i < rows.length; i++) out[rows[i]!] = made.slice(i * 2 * BYTES, (i + 1) * 2 * BYTES);
  return out;
}

function halves(count: number): Halves {
  return { high: new Uint32Array(count), low: new Uint32Array(count) };
}
