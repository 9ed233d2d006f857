import { readdir, readFile } from 'node:fs/promises';
import { LetheError } from '../errors/errors.js';
import { quoteIdent } from './identifiers.js';
import { query, type Session, withTransaction } from './session.js';

const FILE = /^(\d{3})-[a-z-]+\.sql$/;

/** Numbered, forward-only migrations of one schema, each file applied once. */
export interface Migrations {
  readonly schema: string;
  /** Folder with `001-name.sql` and so on. */
  readonly folder: URL;
}

/**
 * Brings a schema up to this version, each migration in a transaction of its own under one advisory lock, so that
 * processes that start together do not race.
 *
 * @throws LetheError `LedgerNewer` when a newer Lethe wrote the schema.
 */
export async function applyMigrations(session: Session, migrations: Migrations): Promise<void> {
  const { schema } = migrations;
  const files = await readMigrations(migrations.folder);
  const newest = files.at(-1)?.version ?? 0;
  if ((await schemaVersion(session, schema)) === newest) return;
  await query(session, `SELECT pg_advisory_lock(hashtext('lethe/migrate'))`);
  try {
    const current = await schemaVersion(session, schema);
    if (current > newest) {
      throw new LetheError(
        'LedgerNewer',
        `The schema "${schema}" of this ${session.role} is at version ${current}, this Lethe knows ${newest}. Use a Lethe that is at least as new as the one that wrote it.`,
      );
    }
    for (const { version, sql } of files) {
      if (version <= current) continue;
      await withTransaction(session, async () => {
        if (version === 1) await createSchema(session, schema);
        await query(session, sql);
        await query(session, `INSERT INTO ${quoteIdent(schema)}.migration (version) VALUES ($1)`, [version]);
      });
    }
  } finally {
    await query(session, `SELECT pg_advisory_unlock(hashtext('lethe/migrate'))`);
  }
}

/** Version of a schema: 0 where there is none. */
export async function schemaVersion(session: Session, schema: string): Promise<number> {
  const table = `${quoteIdent(schema)}.migration`;
  const [found] = await query(session, 'SELECT to_regclass($1) IS NOT NULL AS there', [table]);
  if (found?.there !== 't') return 0;
  const [row] = await query(session, `SELECT coalesce(max(version), 0) AS version FROM ${table}`);
  return Number(row?.version);
}

async function createSchema(session: Session, schema: string): Promise<void> {
  const name = quoteIdent(schema);
  await query(session, `CREATE SCHEMA IF NOT EXISTS ${name}`);
  await query(
    session,
    `CREATE TABLE ${name}.migration (
       version    integer PRIMARY KEY,
       applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
     )`,
  );
}

async function readMigrations(folder: URL): Promise<{ version: number; sql: string }[]> {
  const files = (await readdir(folder)).filter((file) => FILE.test(file)).sort();
  return Promise.all(
    files.map(async (file) => ({
      version: Number(FILE.exec(file)?.[1]),
      sql: await readFile(new URL(file, folder), 'utf8'),
    })),
  );
}
