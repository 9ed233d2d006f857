import { randomFillSync } from 'node:crypto';
import { SALT_LENGTH } from './format.js';
import { CHUNK_VALUES } from './kernel.js';

const pool = Buffer.alloc(CHUNK_VALUES * SALT_LENGTH);
let used = pool.length;

/** Takes fresh salts for so many values (a chunk's at most) from a block that the system's CSPRNG filled. */
export function takeSalts(to: Buffer, count: number): void {
  const size = count * SALT_LENGTH;
  if (size > pool.length - used) {
    randomFillSync(pool);
    used = 0;
  }
  pool.copy(to, 0, used, used + size);
  pool.fill(0, used, used + size);
  used += size;
}
