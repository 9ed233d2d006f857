import { randomBytes } from 'node:crypto';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Writes a file so that it is there whole or not at all, also after a power cut: fsync, rename, fsync of the folder. */
export async function writeDurably(file: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(file));
}

/** Overwrites a file's bytes in place, through the one inode that holds them, and removes it. False where there is none. */
export async function overwriteAndRemove(file: string): Promise<boolean> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    const { size } = await handle.stat();
    for (const bytes of [randomBytes(size), Buffer.alloc(size)]) {
      await handle.write(bytes, 0, size, 0);
      await handle.sync();
    }
  } finally {
    await handle.close();
  }
  await rm(file, { force: true });
  await syncFolder(dirname(file));
  return true;
}

/** Makes a folder that only its owner may enter, where it is missing. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/** The PostgreSQL data directory that a folder lies in; undefined where it lies in none. */
export async function dataDirectoryAbove(folder: string): Promise<string | undefined> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const found = await access(join(at, 'PG_VERSION')).then(
      () => true,
      () => false,
    );
    if (found) return at;
    if (at === dirname(at)) return undefined;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
