import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { openBytes, sealBytes } from '../../../crypto/aead.js';
import { LetheError } from '../../../errors/errors.js';
import { dataDirectoryAbove, makePrivateFolder, overwriteAndRemove, writeDurably } from '../files.js';
import type { CopiedMasters, MasterProvider } from '../masters.js';

/** So long after its last use a folder may go over to another host. Milliseconds. */
const HOST_MS = 10 * 60_000;
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Master keys as files, `<id>.key` with 32 bytes in base64, readable for their owner only. Destroyed by overwriting the
 * bytes where they lie, which is best effort: SSDs, copy-on-write file systems and snapshots of machines keep old blocks.
 *
 * @param folder Not inside a data directory, which backups would take it from; used by one host.
 * @param host Default the name of this one.
 */
export function fileMasters(folder: string, host = hostname()): MasterProvider {
  const fileOf = (id: string) => join(folder, `${requireId(id)}.key`);
  const mine = () => takeFolder(folder, host);
  const masters: MasterProvider = {
    async create(id) {
      await makePrivateFolder(folder);
      await mine();
      if (await exists(fileOf(id))) return masters.check(id);
      await writeDurably(fileOf(id), Buffer.from(`${randomBytes(32).toString('base64')}\n`));
      await masters.check(id);
    },
    async wrap(id, bytes, context) {
      return sealBytes(await readMaster(fileOf(id)), bytes, context);
    },
    async unwrap(id, sealed, context) {
      return openBytes(await readMaster(fileOf(id)), sealed, context);
    },
    async destroy(id) {
      await mine();
      await overwriteAndRemove(fileOf(id));
      return { grade: 'bestEffort' };
    },
    async list() {
      const names = await readdir(folder).catch(() => [] as string[]);
      return names.filter((name) => name.endsWith('.key')).map((name) => name.slice(0, -4));
    },
    async check(id) {
      await mine();
      await readMaster(fileOf(id));
    },
    copyTo: (other) => copied(folder, other, host),
  };
  return masters;
}

function copied(folder: string, other: string, host: string): CopiedMasters {
  const copy = async (from: string, to: string, id: string) => {
    const bytes = Buffer.from(
      `${(await readMaster(join(from, `${requireId(id)}.key`))).toString('base64')}\n`,
    );
    await makePrivateFolder(to);
    if (!(await exists(join(to, `${id}.key`)))) await writeDurably(join(to, `${id}.key`), bytes);
    await readMaster(join(to, `${id}.key`));
  };
  return {
    put: (id) => copy(folder, other, id),
    bringBack: (id) => copy(other, folder, id),
    masters: fileMasters(other, host),
  };
}

/** @throws LetheError `MasterKeyUnusable` when it is missing, unreadable, no key, or others than its owner may read it. */
async function readMaster(file: string): Promise<Buffer> {
  let text: string;
  try {
    const handle = await open(file, 'r');
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw unusable(file, 'is no file', 'Put the key file back.');
      if ((found.mode & 0o077) !== 0)
        throw unusable(file, 'may be read by others than its owner', `Run: chmod 600 ${file}`);
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof LetheError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const why = code === 'ENOENT' ? 'is not there' : `cannot be read (${code})`;
    throw unusable(file, why, 'Mount the folder of master keys, or bring it back: lethe retention restore.');
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length === 32 && key.toString('base64') === text.trim()) return key;
  throw unusable(file, 'does not hold 32 bytes in base64', 'Bring it back: lethe retention restore.');
}

/** One host uses the folder: two that share it could not know what the other still holds. */
async function takeFolder(folder: string, host: string): Promise<void> {
  const data = await dataDirectoryAbove(folder);
  if (data)
    throw unusable(
      folder,
      `lies inside the data directory ${data}`,
      'Backups would take the keys along: move it.',
    );
  const file = join(folder, 'host');
  const owner = await readFile(file, 'utf8').catch(() => undefined);
  if (owner?.trim() === host) return utimes(file, new Date(), new Date());
  const used = owner === undefined ? 0 : (await stat(file)).mtimeMs;
  if (Date.now() - used < HOST_MS) {
    throw unusable(
      folder,
      'is used by another host',
      'One host uses a folder of master keys; it may go over to another one ten minutes after its last use.',
    );
  }
  if (await exists(folder)) await writeDurably(file, Buffer.from(`${host}\n`));
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function requireId(id: string): string {
  if (ID.test(id)) return id;
  throw new LetheError('KeyStoreTampered', 'The id of a master key is none: letters, digits, - and _.');
}

function unusable(file: string, why: string, fix: string): LetheError {
  return new LetheError('MasterKeyUnusable', `${file} ${why}. ${fix}`);
}
