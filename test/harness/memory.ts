import { mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const SHARED_MEMORY = '/dev/shm';
const ROOM = 6 * 2 ** 30;
const NAME = /^lethe-(\d+)-/;

/**
 * A new folder in memory for a cluster that is thrown away, where the machine has 6 GiB for it: on a disk, making and
 * dropping a database is several times the work. Those of processes that were killed are removed.
 */
export function memoryFolder(): string | undefined {
  try {
    for (const name of readdirSync(SHARED_MEMORY)) {
      const owner = NAME.exec(name)?.[1];
      if (owner && !lives(Number(owner))) rmSync(join(SHARED_MEMORY, name), { recursive: true, force: true });
    }
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    if (bavail * bsize < ROOM) return undefined;
    return mkdtempSync(join(SHARED_MEMORY, `lethe-${process.pid}-`));
  } catch {
    // None, or not ours to write to.
    return undefined;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
