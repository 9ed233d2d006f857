import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { silence, silenceFor } from '../../postgres/saga/guards.js';
import { takeAway } from '../../postgres/saga/take-away.js';
import { query, type Session } from '../../postgres/session.js';
import { settleReferences, settleTables } from '../../postgres/settle/settle.js';
import { createDatabase, onVersions, postgresUrl, type TestDatabase } from '../harness/servers.js';
import {
  beginRun,
  catalogText,
  countRows,
  inTransaction,
  open,
  planOf,
  sql,
  unfenced,
} from './saga-fixture.js';

const databases: TestDatabase[] = [];
const sessions: Session[] = [];
const roles: { url: string; name: string }[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  await Promise.all(databases.splice(0).map((database) => database.drop()));
  for (const { url, name } of roles.splice(0)) {
    const admin = await open(url);
    await sql(admin, `DROP OWNED BY ${name}`, `DROP ROLE ${name}`);
    await admin.close();
  }
});

const GUARDED = [
  'CREATE TABLE t (id int PRIMARY KEY, v text)',
  'CREATE TABLE log (what text)',
  `CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN INSERT INTO public.log VALUES (TG_NAME || ' ' || TG_OP); RETURN NULL; END $$`,
  ...['o', 'a', 'r', 'd'].map(
    (name) => `CREATE TRIGGER ${name} AFTER INSERT OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION shout()`,
  ),
  'CREATE TRIGGER emptied AFTER TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION shout()',
  'ALTER TABLE t ENABLE ALWAYS TRIGGER a',
  'ALTER TABLE t ENABLE REPLICA TRIGGER r',
  'ALTER TABLE t DISABLE TRIGGER d',
  `CREATE RULE deleted AS ON DELETE TO t DO ALSO INSERT INTO log VALUES ('rule')`,
  'ALTER TABLE t ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE t FORCE ROW LEVEL SECURITY',
  'CREATE POLICY few ON t USING (id < 3)',
];

onVersions('what would fire or hide rows', (version) => {
  /** A new role that is no superuser and owns a new database, and a session as that role. */
  async function asOwner(
    ...statements: string[]
  ): Promise<{ session: Session; admin: Session; role: string }> {
    const database = await createDatabase(version);
    databases.push(database);
    const admin = await open(database.url);
    sessions.push(admin);
    const role = `owner_${randomBytes(4).toString('hex')}`;
    await sql(
      admin,
      `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`,
      `ALTER DATABASE ${database.name} OWNER TO ${role}`,
      `GRANT ALL ON SCHEMA public TO ${role}`,
    );
    roles.push({ url: await postgresUrl(version), name: role });
    const url = new URL(database.url);
    url.username = role;
    url.password = 'secret';
    const session = await open(url.href);
    sessions.push(session);
    await sql(session, ...statements);
    return { session, admin, role };
  }

  async function roundTrip(session: Session): Promise<void> {
    const before = await catalogText(session);
    const plan = await planOf(session, { only: ['t'], rows: 10 });
    const run = await beginRun(session, plan);
    await inTransaction(session, async () => {
      await takeAway(session, run, plan);
      await silence(session, 'replace', 'transaction');
      await query(session, `INSERT INTO public.t VALUES (1, 'x'), (5, 'y')`);
      await query(session, 'DELETE FROM public.t WHERE id = 1');
    });
    expect(await countRows(session, 'log')).toBe(0);
    expect(await countRows(session, 't')).toBe(1);
    await settleTables(session, { run, fence: unfenced }, plan.tables);
    await settleReferences(session, { run, fence: unfenced }, plan.tables);
    expect(await catalogText(session)).toEqual(before);
  }

  test('is silenced by name for an owner who is no superuser, and comes back in its exact form', async () => {
    const { session } = await asOwner(...GUARDED);
    expect(await silenceFor(session, 'replace')).toBe('named');
    await roundTrip(session);
  });

  test('is silenced by session for a superuser, but for what fires there too', async () => {
    const database = await createDatabase(version);
    databases.push(database);
    const session = await open(database.url);
    sessions.push(session);
    await sql(session, ...GUARDED);
    expect(await silenceFor(session, 'replace')).toBe('replica');
    await roundTrip(session);
  });

  test('is silenced by session for a role that was granted the setting', async () => {
    const { session, admin, role } = await asOwner(...GUARDED);
    await sql(admin, `GRANT SET ON PARAMETER session_replication_role TO ${role}`);
    expect(await silenceFor(session, 'replace')).toBe('replica');
    await roundTrip(session);
  });

  test('an owner who is no superuser takes away and puts back keys and indexes', async () => {
    const { session } = await asOwner(
      'CREATE TABLE a (id int PRIMARY KEY, v text UNIQUE)',
      'CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE)',
      'CREATE INDEX b_a ON b (a)',
      `INSERT INTO a VALUES (1, 'x')`,
      'INSERT INTO b VALUES (1, 1)',
    );
    const before = await catalogText(session);
    const plan = await planOf(session);
    const run = await beginRun(session, plan);
    const taken = await inTransaction(session, () => takeAway(session, run, plan));
    expect(taken.taken).toEqual({ 'foreign key': 1, constraint: 3, index: 1 });
    await settleTables(session, { run, fence: unfenced }, plan.tables);
    await settleReferences(session, { run, fence: unfenced }, plan.tables);
    expect(await catalogText(session)).toEqual(before);
  });

  test('a key of an outside table that the role does not own is refused, and nothing has changed', async () => {
    const { session, admin } = await asOwner(
      'CREATE TABLE a (id int PRIMARY KEY)',
      'INSERT INTO a VALUES (1)',
    );
    await sql(admin, 'CREATE TABLE foreigner (a int REFERENCES a)');
    const before = await catalogText(session);
    const plan = await planOf(session, { only: ['a'] });
    const run = await beginRun(session, plan);
    await expect(inTransaction(session, () => takeAway(session, run, plan))).rejects.toMatchObject({
      type: 'PermissionDenied',
    });
    expect(await catalogText(session)).toEqual(before);
    expect(await countRows(session, 'a')).toBe(1);
  });

  test('upsert keeps indexes and keys, but for those inside a cycle, and silences by name', async () => {
    const database = await createDatabase(version);
    databases.push(database);
    const session = await open(database.url);
    sessions.push(session);
    await sql(
      session,
      ...GUARDED,
      'CREATE TABLE one (id int PRIMARY KEY, two int, up int REFERENCES one, t int REFERENCES t)',
      'CREATE TABLE two (id int PRIMARY KEY, one int REFERENCES one)',
      'ALTER TABLE one ADD CONSTRAINT one_two FOREIGN KEY (two) REFERENCES two',
      'CREATE TABLE outside (id int PRIMARY KEY, one int REFERENCES one)',
      'INSERT INTO two VALUES (1, NULL)',
      `INSERT INTO t VALUES (1, 'kept')`,
      'DELETE FROM log',
    );
    const before = await catalogText(session);
    const base = await planOf(session, { mode: 'upsert', only: ['one', 'two', 't'] });
    const id = (name: string) => base.tables.find((table) => table.destination.name === name)!.id;
    const plan = { ...base, cycles: [[id('one'), id('two')]] };
    const run = await beginRun(session, plan);
    const taken = await inTransaction(session, () => takeAway(session, run, plan));
    expect(taken).toMatchObject({
      silence: 'named',
      emptied: [],
      taken: { 'foreign key': 3, trigger: 3, rule: 1 },
    });
    await sql(
      session,
      `INSERT INTO t VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET v = excluded.v`,
      'INSERT INTO one VALUES (7, 8, 9, 1)',
      'INSERT INTO one VALUES (9, 8, 7, 1)',
      'INSERT INTO two VALUES (8, 7)',
    );
    await expect(sql(session, 'INSERT INTO one VALUES (10, NULL, NULL, 99)')).rejects.toThrow('one_t_fkey');
    expect(await countRows(session, 'log')).toBe(0);
    expect(await countRows(session, 'two')).toBe(2);
    await settleTables(session, { run, fence: unfenced }, plan.tables);
    await settleReferences(session, { run, fence: unfenced }, plan.tables);
    expect(await catalogText(session)).toEqual(before);
  });
});
