import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* `lethe replay`, on a server of its own: from the run that fails to the one that is complete. */

const desk = new Desk();
let source: TestDatabase;
let destination: TestDatabase;

async function sql(database: TestDatabase, text: string): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const job = (account: string) => `job: people
source: { postgres: env:PEOPLE_URL }
destination: { postgres: env:COPY_URL }
key: env:LETHE_KEY
tables:
  public.person: { columns: { id: permute, name: keep, account: ${account} } }
`;

beforeAll(async () => {
  source = await createDatabase();
  destination = await createDatabase();
  const schema = 'CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL, account text);';
  await sql(
    source,
    `${schema} INSERT INTO person SELECT i, 'Name ' || i, 'DE89370400440532013000' FROM generate_series(1, 500) i;
     UPDATE person SET account = 'none' WHERE id = 7; UPDATE person SET name = 'forbidden' WHERE id = 8`,
  );
  await sql(destination, `${schema} ALTER TABLE person ADD CONSTRAINT allowed CHECK (name <> 'forbidden')`);
  desk.write('people.yaml', job('iban'));
  desk.write('corrected.yaml', job('{ iban: { onInvalid: scramble } }'));
  Object.assign(desk.env, {
    PEOPLE_URL: source.url,
    COPY_URL: destination.url,
    LETHE_KEY: Buffer.alloc(32, 7).toString('base64'),
  });
});

afterAll(async () => {
  desk.clear();
  await source?.drop();
  await destination?.drop();
});

it('a run with rows in quarantine says how to replay, and lethe replay ends it', async () => {
  const failed = await desk.lethe('sync', 'people.yaml');
  expect(failed.code).toBe(1);
  expect(failed.err).toMatch(/RowsQuarantined[\s\S]*public\.person: 1 × [\s\S]*lethe replay [0-9a-f-]{36}/);
  const shown = await desk.lethe('show', 'last', '--json');
  const { run, batches } = JSON.parse(shown.out);
  expect(batches).toEqual([{ table: 'public.person', batch: '1/0', count: 2 }]);
  expect((await desk.lethe('show', 'last')).out).toContain(`lethe replay ${run}`);

  // The job file takes the one; the other stays until the destination does.
  const half = await desk.lethe('replay', run.slice(0, 13), '--job', 'corrected.yaml');
  expect(half.code).toBe(1);
  expect(half.err).toMatch(/RowsQuarantined[\s\S]*constraint allowed/);
  expect(half.err).not.toContain('not an IBAN');
  await sql(destination, 'ALTER TABLE person DROP CONSTRAINT allowed');
  const whole = await desk.lethe('replay', 'last', '--json');
  expect(whole.code).toBe(0);
  expect(JSON.parse(whole.out)).toMatchObject({ run, replayed: { copied: 1, gone: 0 }, ok: true });
  expect(await sql(destination, 'SELECT count(*)::int AS n FROM person')).toEqual([{ n: 500 }]);

  const again = await desk.lethe('replay', 'last', '--json');
  expect(again.code).toBe(2);
  expect(JSON.parse(again.out).error).toMatchObject({ type: 'NothingToReplay' });
  const unknown = await desk.lethe('replay', '01a2ffff', '--json');
  expect(unknown.code).toBe(2);
  expect(JSON.parse(unknown.out).error).toMatchObject({ type: 'UnknownRun' });
});
