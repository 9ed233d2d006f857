import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { verifies } from '../../crypto/sign.js';
import { LetheError } from '../../errors/errors.js';
import { makePrivateFolder, writeDurably } from '../../retention/keys/files.js';
import type { CopiedMasters } from '../../retention/keys/masters.js';
import { fingerprint, unwrapKey } from '../../retention/keys/wrapping.js';
import { query, type Session, withTransaction } from '../session.js';
import type { StoreContext } from './context.js';
import { keysVersion } from './create.js';
import { readDayKeys } from './rows.js';

/** Tables of a key store, parents first. */
export const TABLES = [
  'store',
  'policy',
  'master',
  'day_key',
  'destruction',
  'tombstone',
  'hold',
  'export',
  'receipt',
] as const;

/** What a second copy holds: the rows of each table as PostgreSQL writes them in JSON. */
export interface CopyContent {
  readonly version: number;
  /** Revision of the store that it shows. */
  readonly revision: string;
  readonly tables: Readonly<Record<(typeof TABLES)[number], string>>;
}

/** The file of a second copy, in its folder. */
export function copyFile(folder: string): string {
  return join(folder, 'keys.json');
}

/** The master keys of a second copy; undefined where masters cannot be copied. */
export function copiedMasters(context: StoreContext, folder: string): CopiedMasters | undefined {
  return context.masters.copyTo?.(join(folder, 'masters'));
}

/**
 * Brings the second copy up to the store: written, synced, renamed, then read back and every day key opened with the master
 * keys of the copy. Without a `copy:` there is nothing to do.
 *
 * @throws LetheError `KeyCopyFailed`.
 */
export async function writeCopy(session: Session, context: StoreContext): Promise<void> {
  const folder = context.settings.copy;
  if (folder === undefined) return;
  const lock = `hashtext('lethe_keys/copy')`;
  await query(session, `SELECT pg_advisory_lock(${lock})`);
  try {
    const content = await withTransaction(session, () => readContent(session), {
      isolation: 'repeatable read',
      readOnly: true,
    });
    try {
      await writeContent(context, folder, content);
      await checkCopy(context, folder, content);
    } catch (error) {
      throw copyFailed(folder, error);
    }
    await query(session, 'UPDATE lethe_keys.store SET copied = greatest(copied, $1)', [content.revision]);
  } finally {
    await query(session, `SELECT pg_advisory_unlock(${lock})`);
  }
}

/**
 * Reads a second copy.
 * @throws LetheError `KeyCopyFailed`, or `KeyStoreTampered` when it is not signed by this store's key.
 */
export async function readCopy(context: StoreContext, folder: string): Promise<CopyContent> {
  let file: { text?: string; signature?: string };
  try {
    file = JSON.parse(await readFile(copyFile(folder), 'utf8'));
  } catch (error) {
    throw copyFailed(folder, error);
  }
  const { text = '', signature = '' } = file;
  if (verifies(context.signer.publicKey, text, signature)) return JSON.parse(text) as CopyContent;
  throw new LetheError(
    'KeyStoreTampered',
    `The second copy in ${folder} is not signed by the key of this store: it was changed, or belongs to another one.`,
  );
}

async function readContent(session: Session): Promise<CopyContent> {
  const tables: Record<string, string> = {};
  for (const table of TABLES) {
    const [row] = await query(
      session,
      `SELECT coalesce(json_agg(t), '[]') AS rows FROM lethe_keys.${table} t`,
    );
    tables[table] = row!.rows!;
  }
  const [store] = await query(session, 'SELECT revision FROM lethe_keys.store');
  return {
    version: await keysVersion(session),
    revision: store!.revision!,
    tables: tables as CopyContent['tables'],
  };
}

async function writeContent(context: StoreContext, folder: string, content: CopyContent): Promise<void> {
  await makePrivateFolder(folder);
  // The masters first: a copy never holds keys that its own masters do not open.
  const copied = copiedMasters(context, folder);
  for (const { id } of mastersOf(content, ['created', 'active'])) await copied?.put(id);
  const text = JSON.stringify(content);
  const file = { text, signature: context.signer.sign(text) };
  await writeDurably(copyFile(folder), Buffer.from(`${JSON.stringify(file)}\n`));
}

interface MasterOf {
  readonly id: string;
  readonly state: string;
}

function mastersOf(content: CopyContent, states: readonly string[]): MasterOf[] {
  return (JSON.parse(content.tables.master) as MasterOf[]).filter(({ state }) => states.includes(state));
}

interface CopiedKey {
  readonly policy: string;
  readonly day: string;
  readonly destroy_at: string;
  readonly master: string;
  readonly wrapped: string;
  readonly fingerprint: string;
}

/** Read back: the same text, and every day key opens under the masters of the copy. */
async function checkCopy(context: StoreContext, folder: string, written: CopyContent): Promise<void> {
  const content = await readCopy(context, folder);
  if (JSON.stringify(content) !== JSON.stringify(written))
    throw new LetheError('KeyCopyFailed', 'What was read back is not what was written.');
  await openCopy(context, folder, content);
}

/** Opens every day key of a copy with the masters there; throws where one does not open. Returns their number. */
export async function openCopy(context: StoreContext, folder: string, content: CopyContent): Promise<number> {
  const masters = copiedMasters(context, folder)?.masters ?? context.masters;
  const keys = JSON.parse(content.tables.day_key) as CopiedKey[];
  for (const key of keys) {
    const label = { ...key, destroyAt: Date.parse(key.destroy_at) };
    const opened = await unwrapKey(masters, Buffer.from(key.wrapped.slice(2), 'hex'), label);
    if (fingerprint(opened) !== key.fingerprint)
      throw new LetheError(
        'KeyStoreTampered',
        `The key of policy ${key.policy} and ${key.day} is another one.`,
      );
    opened.fill(0);
  }
  return keys.length;
}

/** Whether the copy is on a disk of its own, as far as the system tells. */
export async function onOtherDisk(folder: string, masters: string): Promise<boolean | undefined> {
  const [a, b] = await Promise.all([folder, masters].map((path) => stat(path).catch(() => undefined)));
  return a && b ? a.dev !== b.dev : undefined;
}

/** Opens every day key of the store itself; throws where one does not open. Returns their number. */
export async function openAll(session: Session, context: StoreContext): Promise<number> {
  const rows = await readDayKeys(session);
  for (const row of rows) {
    const key = await unwrapKey(context.masters, row.wrapped, row);
    if (fingerprint(key) !== row.fingerprint)
      throw new LetheError(
        'KeyStoreTampered',
        `The key of policy ${row.policy} and ${row.day} is another one.`,
      );
    key.fill(0);
  }
  return rows.length;
}

function copyFailed(folder: string, error: unknown): LetheError {
  const why =
    error instanceof LetheError
      ? error.message
      : `${(error as NodeJS.ErrnoException).code ?? 'it cannot be read'}.`;
  return new LetheError(
    'KeyCopyFailed',
    `The second copy in ${folder} cannot be kept: ${why} Nothing that depends on it goes on until it can: mount it, or make room.`,
  );
}
