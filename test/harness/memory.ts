import { mkdtempSync, readdirSync, readlinkSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { availableMemory } from 'node:process';

const SHARED_MEMORY = '/dev/shm';
const ROOM = 6 * 2 ** 30;

/**
 * A new folder in memory for a cluster that is thrown away, where 6 GiB are free for it: on a disk, making and dropping a
 * database is several times the work. It is removed when this process ends; those of processes that were killed, by the
 * next one that asks.
 */
export function memoryFolder(): string | undefined {
  try {
    // A process id means something in its own namespace only, and containers may share their memory.
    const prefix = `lethe-${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}-`;
    removeLeft(prefix);
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    if (Math.min(bavail * bsize, availableMemory()) < ROOM) return undefined;
    const folder = mkdtempSync(join(SHARED_MEMORY, `${prefix}${process.pid}-`));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return folder;
  } catch {
    // None, or not ours to write to.
    return undefined;
  }
}

function removeLeft(prefix: string): void {
  for (const name of readdirSync(SHARED_MEMORY)) {
    if (!name.startsWith(prefix) || lives(Number(name.slice(prefix.length).split('-')[0]))) continue;
    try {
      rmSync(join(SHARED_MEMORY, name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
