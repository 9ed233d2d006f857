import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createDatabase,
  describeUnless,
  onVersions,
  sharedData,
  type TestDatabase,
} from '../harness/servers.js';

async function value(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return Object.values(rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

onVersions('a test database', (version) => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase(version);
  });
  afterAll(() => database.drop());

  test('is of the version asked for', async () => {
    expect(await value(database.url, 'SHOW server_version')).toMatch(new RegExp(`^${version}\\.`));
  });

  test('is empty, and UTF8', async () => {
    expect(await value(database.url, 'SHOW server_encoding')).toBe('UTF8');
    expect(
      await value(database.url, 'SELECT count(*)::int FROM pg_tables WHERE schemaname = $$public$$'),
    ).toBe(0);
  });

  test('is gone after drop, also under an open connection', async () => {
    const other = await createDatabase(version);
    const client = new pg.Client({ connectionString: other.url });
    client.on('error', () => {});
    await client.connect();
    await other.drop();
    await expect(value(other.url, 'SELECT 1')).rejects.toThrow('does not exist');
    await client.end().catch(() => {});
  });
});

for (const [file, table, rows] of [
  ['sakila.sql', 'rental', 16_044],
  ['chinook.sql', 'track', 3_503],
] as const) {
  const data = sharedData(file);
  describeUnless(data.missing, `a copy of ${file}`, () => {
    onVersions('holds its rows', (version) => {
      test('in every copy', async () => {
        const copies = await Promise.all([
          createDatabase(version, data.path),
          createDatabase(version, data.path),
        ]);
        for (const copy of copies) {
          expect(await value(copy.url, `SELECT count(*)::int FROM public.${table}`)).toBe(rows);
          await copy.drop();
        }
      });
    });
  });
}
