import { LetheError } from '../../errors/errors.js';
import { query, type Session, withTransaction } from '../session.js';
import { type StoreContext, withStore } from './context.js';
import { type CopyContent, copiedMasters, openAll, readCopy, TABLES } from './copy.js';
import { createTables, keysVersion } from './create.js';
import { readStore } from './rows.js';

export interface Restored {
  /** Day keys that live, each opened. */
  readonly keys: number;
  readonly tombstones: number;
}

/**
 * Brings a lost key store back from its second copy: rows into the database, masters to where they live, then opens every
 * day key.
 *
 * @param folder Of the copy; default the store's `copy:`.
 * @param replace Overwrites an older state of the same store, such as a restored backup, whose keys open nothing.
 * @throws LetheError `KeyStoreTampered`, `RetentionInvalid` when the database holds a store that must not be overwritten.
 */
export function restoreStore(
  context: StoreContext,
  folder = context.settings.copy,
  replace = false,
): Promise<Restored> {
  if (folder === undefined) {
    throw new LetheError(
      'RetentionInvalid',
      'This key store has no second copy in the retention file: name its folder, --from DIR.',
    );
  }
  return withStore(context, async (session) => {
    const content = await readCopy(context, folder);
    await createTables(session);
    if ((await keysVersion(session)) !== content.version) {
      throw new LetheError(
        'LedgerNewer',
        `The copy is of version ${content.version} of the key store, this Lethe writes ${await keysVersion(session)}: restore it with the Lethe that wrote it, then update.`,
      );
    }
    await refuseNewer(session, content, replace);
    const copied = copiedMasters(context, folder);
    for (const id of liveMasters(content)) await copied?.bringBack(id);
    await withTransaction(session, () => fill(session, content, folder === context.settings.copy));
    await readStore(session, context);
    const keys = await openAll(session, context);
    const [count] = await query(session, 'SELECT count(*) AS n FROM lethe_keys.tombstone');
    return { keys, tombstones: Number(count?.n) };
  });
}

async function refuseNewer(session: Session, content: CopyContent, replace: boolean): Promise<void> {
  const [row] = await query(session, 'SELECT id, revision FROM lethe_keys.store');
  if (!row) return;
  const [store] = JSON.parse(content.tables.store) as { id: string; revision: number }[];
  if (row.id !== store?.id)
    throw new LetheError(
      'RetentionInvalid',
      'The database holds another key store: restore into a database without one.',
    );
  if (BigInt(row.revision!) >= BigInt(content.revision))
    throw new LetheError(
      'RetentionInvalid',
      'The key store in the database is as new as the copy, or newer: nothing to restore.',
    );
  if (!replace) {
    throw new LetheError(
      'Unconfirmed',
      'The database holds an older state of this key store. --replace overwrites it with the copy.',
    );
  }
}

function liveMasters(content: CopyContent): string[] {
  const masters = JSON.parse(content.tables.master) as { id: string; state: string }[];
  const keys = JSON.parse(content.tables.day_key) as { master: string }[];
  const needed = new Set(keys.map(({ master }) => master));
  return masters.filter(({ id, state }) => state === 'active' || needed.has(id)).map(({ id }) => id);
}

/** The store is as its copy has it; only where that is another folder, its own copy has to be written anew. */
async function fill(session: Session, content: CopyContent, own: boolean): Promise<void> {
  await query(session, `SELECT set_config('synchronous_commit', 'on', true)`);
  await query(session, `TRUNCATE ${TABLES.map((table) => `lethe_keys.${table}`).join(', ')}`);
  // Of the copy: a tombstone and a key of one day would be refused, as they should.
  for (const table of TABLES) {
    await query(
      session,
      `INSERT INTO lethe_keys.${table} SELECT * FROM json_populate_recordset(NULL::lethe_keys.${table}, $1)`,
      [content.tables[table]],
    );
  }
  await query(
    session,
    own
      ? 'UPDATE lethe_keys.store SET epoch = epoch + 1, copied = revision'
      : 'UPDATE lethe_keys.store SET epoch = epoch + 1, revision = revision + 1, copied = 0',
  );
}
