import { readFile } from 'node:fs/promises';
import { LetheError } from '../../errors/errors.js';
import { quoteIdent } from '../identifiers.js';
import { query, type Session, withTransaction } from '../session.js';

/** What `lethe.retention_version()` gives of these functions. */
export const RETENTION_VERSION = 3;

/**
 * Creates or renews `lethe.seal`, `lethe.reveal`, `lethe.reveal_bytes`, `lethe.seal_json`, `lethe.reveal_json` and what
 * they are made of, in one transaction; may run again at any time. Everybody may call them: who has no keys in the
 * session's settings reads nothing. Creates the extension pgcrypto where it is missing and the role may.
 *
 * @throws LetheError `ObjectMissing` without pgcrypto, `LedgerNewer` when a newer Lethe installed them, `JobInvalid` in a
 * database that is not UTF-8.
 */
export async function installRetention(session: Session): Promise<void> {
  if (session.serverEncoding !== 'UTF8') {
    throw new LetheError(
      'JobInvalid',
      `This database stores text as ${session.serverEncoding}; sealing and revealing need a database in UTF8.`,
    );
  }
  const installed = await installedRetention(session);
  if (installed > RETENTION_VERSION) {
    throw new LetheError(
      'LedgerNewer',
      `The functions lethe.seal and lethe.reveal of this database are of version ${installed}, this Lethe has ${RETENTION_VERSION}. Use a Lethe that is at least as new.`,
    );
  }
  const sql = await readFile(new URL('./functions.sql', import.meta.url), 'utf8');
  await withTransaction(session, async () => {
    await query(session, `SELECT pg_advisory_xact_lock(hashtext('lethe/retention'))`);
    await query(session, 'CREATE SCHEMA IF NOT EXISTS lethe');
    await query(session, sql.replaceAll('{pgcrypto}', quoteIdent(await pgcryptoSchema(session))));
    await query(session, 'GRANT USAGE ON SCHEMA lethe TO PUBLIC');
  });
}

/** Version of the functions in this database; 0 where there are none. */
export async function installedRetention(session: Session): Promise<number> {
  const [found] = await query(session, `SELECT to_regproc('lethe.retention_version') IS NOT NULL AS there`);
  if (found?.there !== 't') return 0;
  const [row] = await query(session, 'SELECT lethe.retention_version() AS version');
  return Number(row?.version);
}

async function pgcryptoSchema(session: Session): Promise<string> {
  const find = async () => {
    const [row] = await query(
      session,
      `SELECT nspname AS name FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
       WHERE extname = 'pgcrypto'`,
    );
    return row?.name ?? undefined;
  };
  const schema = await find();
  if (schema !== undefined) return schema;
  const [available] = await query(
    session,
    `SELECT 1 AS one FROM pg_catalog.pg_available_extensions WHERE name = 'pgcrypto'`,
  );
  if (!available) {
    throw new LetheError(
      'ObjectMissing',
      'The extension pgcrypto is not available on this server: install the contrib package of PostgreSQL (on Debian it is part of postgresql-NN).',
    );
  }
  await query(session, 'CREATE EXTENSION pgcrypto WITH SCHEMA lethe');
  return (await find())!;
}
