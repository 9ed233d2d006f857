import { readdir, readFile } from 'node:fs/promises';
import { LetheError } from '../../errors/errors.js';
import { query, type Session, withTransaction } from '../session.js';

const FOLDER = new URL('./migrations/', import.meta.url);
const FILE = /^(\d{3})-[a-z-]+\.sql$/;

/**
 * Brings the `lethe` schema of a destination up to this version, each migration in a transaction of its own under one
 * advisory lock, so that workers that start together do not race.
 *
 * @throws LetheError `LedgerNewer` when a newer Lethe wrote the schema.
 */
export async function migrate(session: Session): Promise<void> {
  const migrations = await readMigrations();
  const newest = migrations.at(-1)?.version ?? 0;
  if ((await ledgerVersion(session)) === newest) return;
  await query(session, `SELECT pg_advisory_lock(hashtext('lethe/migrate'))`);
  try {
    const current = await ledgerVersion(session);
    if (current > newest) {
      throw new LetheError(
        'LedgerNewer',
        `The schema "lethe" of this destination is at version ${current}, this Lethe knows ${newest}. Use a Lethe that is at least as new as the one that wrote it.`,
      );
    }
    for (const { version, sql } of migrations) {
      if (version <= current) continue;
      await withTransaction(session, async () => {
        if (version === 1) await createSchema(session);
        await query(session, sql);
        await query(session, 'INSERT INTO lethe.migration (version) VALUES ($1)', [version]);
      });
    }
  } finally {
    await query(session, `SELECT pg_advisory_unlock(hashtext('lethe/migrate'))`);
  }
}

/** Version of the `lethe` schema: 0 where there is none. */
export async function ledgerVersion(session: Session): Promise<number> {
  const [found] = await query(session, `SELECT to_regclass('lethe.migration') IS NOT NULL AS there`);
  if (found?.there !== 't') return 0;
  const [row] = await query(session, 'SELECT coalesce(max(version), 0) AS version FROM lethe.migration');
  return Number(row?.version);
}

async function createSchema(session: Session): Promise<void> {
  await query(session, 'CREATE SCHEMA IF NOT EXISTS lethe');
  await query(
    session,
    `CREATE TABLE lethe.migration (
       version    integer PRIMARY KEY,
       applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
     )`,
  );
}

async function readMigrations(): Promise<{ version: number; sql: string }[]> {
  const files = (await readdir(FOLDER)).filter((file) => FILE.test(file)).sort();
  return Promise.all(
    files.map(async (file) => ({
      version: Number(FILE.exec(file)?.[1]),
      sql: await readFile(new URL(file, FOLDER), 'utf8'),
    })),
  );
}
