import { afterEach, expect, test } from 'vitest';
import { readIdentity } from '../../postgres/catalog/identity.js';
import { claimDestination, destinationState, openForWriting } from '../../postgres/claim.js';
import { query, type Session } from '../../postgres/session.js';
import { createDatabase, onVersions, postgresUrl, type TestDatabase } from '../harness/servers.js';
import { open, sql } from './saga-fixture.js';

const databases: TestDatabase[] = [];
const sessions: Session[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  await Promise.all(databases.splice(0).map((database) => database.drop()));
});

onVersions('a claim', (version) => {
  async function database(...statements: string[]): Promise<{ session: Session; database: TestDatabase }> {
    const made = await createDatabase(version);
    databases.push(made);
    const session = await connect(made.url);
    await sql(session, ...statements);
    return { session, database: made };
  }

  async function connect(url: string): Promise<Session> {
    const session = await open(url);
    sessions.push(session);
    return session;
  }

  test('is made on the spot for an empty database, and holds for the job', async () => {
    const { session: source } = await database('CREATE TABLE t (id int)', 'INSERT INTO t VALUES (1)');
    const { session } = await database('CREATE TABLE t (id int)');
    expect(await destinationState(session)).toMatchObject({ state: 'none' });
    await openForWriting(source, session, { job: 'one' });
    expect(await destinationState(session)).toMatchObject({
      state: 'claimed',
      claim: { claimedBy: 'job one', jobs: ['one'] },
    });
    await sql(session, 'INSERT INTO t VALUES (1)');
    await openForWriting(source, session, { job: 'one' });
    await expect(openForWriting(source, session, { job: 'two' })).rejects.toMatchObject({
      type: 'DestinationUnclaimed',
      message: expect.stringContaining('for job one only'),
    });
    // Another job whose own tables are empty joins in.
    await openForWriting(source, session, { job: 'two', tables: [{ schema: 'public', name: 'elsewhere' }] });
    await openForWriting(source, session, { job: 'two' });
    expect((await destinationState(session)).claim?.jobs).toEqual(['one', 'two']);
  });

  test('is refused for a database with rows, until a human makes it; nothing is written', async () => {
    const { session: source } = await database('CREATE TABLE t (id int)');
    const { session } = await database('CREATE TABLE t (id int)', 'INSERT INTO t VALUES (1)');
    await expect(openForWriting(source, session, { job: 'one' })).rejects.toMatchObject({
      type: 'DestinationUnclaimed',
      message: expect.stringMatching(/never claimed, and it holds rows \(public\.t\).*lethe claim/),
    });
    const [schema] = await query(session, `SELECT to_regnamespace('lethe') AS name`);
    expect(schema?.name).toBeNull();
    await openForWriting(source, session, { job: 'one', tables: [{ schema: 'public', name: 'other' }] });
    await claimDestination(session, { by: 'ann' });
    await openForWriting(source, session, { job: 'any' });
  });

  test('is made for tables that createSchema has made and filled', async () => {
    const { session: source } = await database();
    const { session } = await database('CREATE TABLE kinds (id int)', 'INSERT INTO kinds VALUES (1)');
    await openForWriting(source, session, { job: 'one', createdSchema: true });
    expect(await destinationState(session)).toMatchObject({ state: 'claimed' });
  });

  test('does not go with a clone', async () => {
    const { session: source } = await database();
    const { session, database: original } = await database(
      'CREATE TABLE t (id int)',
      'INSERT INTO t VALUES (1)',
    );
    await claimDestination(session, { by: 'ann' });
    await session.close();
    const admin = await connect(await postgresUrl(version));
    const name = `${original.name}_clone`;
    await query(admin, `CREATE DATABASE ${name} TEMPLATE ${original.name}`);
    const url = new URL(original.url);
    url.pathname = `/${name}`;
    databases.push({ url: url.href, name, drop: () => sqlDrop(name) });
    const clone = await connect(url.href);
    expect(await destinationState(clone)).toMatchObject({ state: 'cloned' });
    await expect(openForWriting(source, clone, { job: 'one' })).rejects.toMatchObject({
      type: 'DestinationUnclaimed',
      message: expect.stringContaining('a copy of a database that ann claimed'),
    });
    await claimDestination(clone, { by: 'bob' });
    await openForWriting(source, clone, { job: 'one' });
    const again = await connect(original.url);
    expect(await destinationState(again)).toMatchObject({ state: 'claimed', claim: { claimedBy: 'ann' } });
  });

  async function sqlDrop(name: string): Promise<void> {
    const admin = await open(await postgresUrl(version));
    await query(admin, `DROP DATABASE ${name} WITH (FORCE)`);
    await admin.close();
  }

  test('does not go with a dump into a database of the same oid, where the system identifier is hidden', async () => {
    const { session } = await database('CREATE TABLE t (id int)', 'INSERT INTO t VALUES (1)');
    await claimDestination(session, { by: 'ann' });
    await sql(session, `UPDATE lethe.destination SET system = ''`);
    expect(await destinationState(session)).toMatchObject({ state: 'claimed' });
    // What a restored dump has: the row, but not the oid of the table that holds it.
    await sql(
      session,
      'CREATE TABLE lethe.restored (LIKE lethe.destination INCLUDING ALL)',
      'INSERT INTO lethe.restored SELECT * FROM lethe.destination',
      'DROP TABLE lethe.destination',
      'ALTER TABLE lethe.restored RENAME TO destination',
    );
    expect(await destinationState(session)).toMatchObject({ state: 'cloned' });
  });

  test('is never asked for the source itself, nor for the source of another job', async () => {
    const { session: source, database: original } = await database('CREATE TABLE t (id int)');
    const same = await connect(original.url);
    await expect(openForWriting(source, same, { job: 'one' })).rejects.toMatchObject({
      type: 'DestinationIsSource',
    });
    const { session } = await database('CREATE TABLE t (id int)');
    await claimDestination(session, { by: 'ann' });
    const sources = [{ job: 'nightly', identity: await readIdentity(session) }];
    await expect(openForWriting(source, session, { job: 'one', sources })).rejects.toMatchObject({
      type: 'DestinationIsSource',
      message: expect.stringContaining('the source of job nightly'),
    });
  });

  test('that is on the source and not on the destination looks like swapped URLs', async () => {
    const { session: staging } = await database('CREATE TABLE t (id int)');
    await claimDestination(staging, { by: 'ann' });
    const { session: production } = await database('CREATE TABLE t (id int)', 'INSERT INTO t VALUES (1)');
    await expect(openForWriting(staging, production, { job: 'one' })).rejects.toMatchObject({
      type: 'DestinationUnclaimed',
      message: expect.stringContaining('are the two URLs swapped?'),
    });
  });
});
