import { afterEach, expect, test } from 'vitest';
import { takenRows } from '../../postgres/ledger/ddl.js';
import { restoreDebts, restoreRuns } from '../../postgres/saga/restore.js';
import { type SagaPlan, takeAway } from '../../postgres/saga/take-away.js';
import { query, type Session } from '../../postgres/session.js';
import { settleReferences, settleTables } from '../../postgres/settle/settle.js';
import {
  createDatabase,
  describeUnless,
  onVersions,
  sharedData,
  type TestDatabase,
} from '../harness/servers.js';
import {
  beginRun,
  catalogText,
  countRows,
  dieBefore,
  inTransaction,
  markLoaded,
  open,
  planOf,
  sql,
  unfenced,
} from './saga-fixture.js';

const databases: TestDatabase[] = [];
const sessions: Session[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
  await Promise.all(databases.splice(0).map((database) => database.drop()));
});

async function wholeSaga(session: Session, run: string, plan: SagaPlan): Promise<void> {
  await inTransaction(session, () => takeAway(session, run, plan));
  await settleTables(session, { run, fence: unfenced }, plan.tables);
  await settleReferences(session, { run, fence: unfenced }, plan.tables);
}

onVersions('a saga that is killed', (version) => {
  async function connect(url: string): Promise<Session> {
    const session = await open(url);
    sessions.push(session);
    return session;
  }

  async function database(file?: string): Promise<TestDatabase> {
    const made = await createDatabase(version, file);
    databases.push(made);
    return made;
  }

  /** Kills the saga before each of its statements, then kills the restoration too, then restores. */
  async function killEverywhere(url: string, schemas: string[], step: number): Promise<number> {
    const keeper = await connect(url);
    const plan = await planOf(keeper, { schemas });
    const before = await catalogText(keeper, schemas);
    let kills = 0;
    for (let n = 0; ; n += step) {
      const run = await beginRun(keeper, plan);
      const victim = await connect(url);
      dieBefore(victim, n);
      const survived = await wholeSaga(victim, run, plan).then(
        () => true,
        () => false,
      );
      if (survived) break;
      kills += 1;
      const second = await connect(url);
      dieBefore(second, (n * 7) % 23);
      await restoreRuns(second, [run]).catch(() => undefined);
      const third = await connect(url);
      const { owed } = await restoreRuns(third, [run]);
      expect(owed).toEqual([]);
      expect(await catalogText(keeper, schemas), `killed before statement ${n}`).toEqual(before);
      expect(await takenRows(keeper)).toEqual([]);
      await Promise.all([victim, second, third].map((session) => session.close()));
    }
    return kills;
  }

  test('leaves nothing away, whichever statement was its last', async () => {
    const { url } = await database();
    await sql(
      await connect(url),
      'CREATE SCHEMA x',
      'CREATE TABLE x.a (id int PRIMARY KEY, v text UNIQUE)',
      'CREATE TABLE x.b (id int PRIMARY KEY, a int REFERENCES x.a, b int REFERENCES x.b)',
      'CREATE INDEX b_a ON x.b (a)',
      'CREATE FUNCTION x.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$',
      'CREATE TRIGGER t BEFORE INSERT ON x.b FOR EACH ROW EXECUTE FUNCTION x.f()',
      'ALTER TABLE x.b ENABLE ALWAYS TRIGGER t',
      'INSERT INTO x.a SELECT n, n FROM generate_series(1, 10) n',
      'INSERT INTO x.b SELECT n, n FROM generate_series(1, 10) n',
    );
    expect(await killEverywhere(url, ['x'], version === 15 ? 4 : 2)).toBeGreaterThan(6);
  });

  const { path, missing } = sharedData('sakila.sql');
  describeUnless(missing, 'sakila', () => {
    test('leaves nothing away', async () => {
      const { url } = await database(path);
      expect(await killEverywhere(url, ['public'], version === 15 ? 61 : 47)).toBeGreaterThan(1);
    });
  });

  test('empties what was loaded in part and what references it, and nothing else', async () => {
    const { url } = await database();
    const session = await connect(url);
    await sql(
      session,
      'CREATE TABLE parent (id int PRIMARY KEY)',
      'CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent)',
      'CREATE TABLE grandchild (id int PRIMARY KEY, child int REFERENCES child)',
      'CREATE TABLE apart (id int PRIMARY KEY, parent int REFERENCES parent)',
      'CREATE TABLE outside (id int PRIMARY KEY, parent int REFERENCES parent)',
      'INSERT INTO parent VALUES (1), (2)',
      'INSERT INTO outside VALUES (1, 2)',
    );
    const before = await catalogText(session);
    const plan = await planOf(session, { only: ['parent', 'child', 'grandchild', 'apart'] });
    const run = await beginRun(session, plan);
    const taken = await inTransaction(session, () => takeAway(session, run, plan));
    expect(taken.outside).toEqual(['public.outside.outside_parent_fkey']);
    const id = (name: string) => plan.tables.find((table) => table.destination.name === name)!.id;
    await sql(
      session,
      'INSERT INTO parent VALUES (1)',
      'INSERT INTO child VALUES (10, 1), (11, 2)',
      'INSERT INTO grandchild VALUES (100, 11)',
      'INSERT INTO apart VALUES (5, NULL)',
    );
    await markLoaded(session, run, ['child', 'grandchild', 'apart'].map(id));
    const { emptied, owed } = await restoreRuns(session, [run]);
    expect([...emptied].sort()).toEqual(['public.child', 'public.grandchild', 'public.parent']);
    expect(await countRows(session, 'apart')).toBe(1);
    expect(await countRows(session, 'outside')).toBe(1);
    // The outside row's parent is gone; that row is not ours to remove.
    expect(owed).toEqual(['public.outside.outside_parent_fkey']);
    const not = (line: string) => !line.includes('outside_parent_fkey');
    expect((await catalogText(session)).filter(not)).toEqual(before.filter(not));
    const [key] = await query(
      session,
      `SELECT convalidated FROM pg_constraint WHERE conname = 'outside_parent_fkey'`,
    );
    expect(key?.convalidated).toBe('f');
    await sql(session, 'INSERT INTO parent VALUES (2)');
    expect((await restoreRuns(session, [run])).owed).toEqual([]);
    expect(await catalogText(session)).toEqual(before);
  });

  test('is adopted by the next run, which restores the first state', async () => {
    const { url } = await database();
    const session = await connect(url);
    await sql(
      session,
      'CREATE TABLE parent (id int PRIMARY KEY)',
      'CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent)',
      'CREATE INDEX child_parent ON child (parent)',
    );
    const before = await catalogText(session);
    const plan = await planOf(session);
    const first = await beginRun(session, plan);
    await inTransaction(session, () => takeAway(session, first, plan));
    const second = await beginRun(session, plan);
    const taken = await inTransaction(session, () => takeAway(session, second, plan));
    expect(taken.adopted).toBe(4);
    expect(taken.taken).toEqual({});
    await settleTables(session, { run: second, fence: unfenced }, plan.tables);
    await settleReferences(session, { run: second, fence: unfenced }, plan.tables);
    expect(await catalogText(session)).toEqual(before);
  });

  test('empties a table once a run', async () => {
    const { url } = await database();
    const session = await connect(url);
    await sql(session, 'CREATE TABLE t (id int)', 'INSERT INTO t VALUES (1)');
    const plan = await planOf(session);
    const run = await beginRun(session, plan);
    expect((await inTransaction(session, () => takeAway(session, run, plan))).emptied).toEqual(['public.t']);
    await sql(session, 'INSERT INTO t VALUES (2)');
    expect((await inTransaction(session, () => takeAway(session, run, plan))).emptied).toEqual([]);
    expect(await countRows(session, 't')).toBe(1);
    const next = await beginRun(session, plan);
    expect((await inTransaction(session, () => takeAway(session, next, plan))).emptied).toEqual(['public.t']);
  });

  test('leaves a key owed, which the next run loads without, and puts back valid', async () => {
    const { url } = await database();
    const session = await connect(url);
    await sql(
      session,
      'CREATE TABLE parent (id int PRIMARY KEY)',
      'CREATE TABLE child (id int, parent int REFERENCES parent)',
    );
    const before = await catalogText(session);
    const plan = await planOf(session, { rows: 1 });
    const first = await beginRun(session, plan);
    await inTransaction(session, () => takeAway(session, first, plan));
    await sql(session, 'INSERT INTO child VALUES (1, 7)');
    await expect(
      settleReferences(session, { run: first, fence: unfenced }, plan.tables),
    ).rejects.toMatchObject({ type: 'QuarantineLimit' });
    expect((await takenRows(session)).map(({ state }) => state)).toEqual(['owed']);
    // Restoring tries it again and removes nothing for it.
    await markLoaded(
      session,
      first,
      plan.tables.map(({ id }) => id),
    );
    expect(await restoreRuns(session, [first])).toMatchObject({
      emptied: [],
      owed: ['public.child.child_parent_fkey'],
    });
    expect(await countRows(session, 'child')).toBe(1);

    const second = await beginRun(session, plan);
    const taken = await inTransaction(session, () => takeAway(session, second, plan));
    expect(taken).toMatchObject({ adopted: 1, taken: { 'foreign key': 1 } });
    await settleReferences(session, { run: second, fence: unfenced }, plan.tables);
    expect(await catalogText(session)).toEqual(before);
    expect(await takenRows(session)).toEqual([]);
  });

  test('of other tables is cleared up by the next run, before an upsert that of its own tables too', async () => {
    const { url } = await database();
    const session = await connect(url);
    await sql(
      session,
      'CREATE TABLE a (id int PRIMARY KEY)',
      'CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)',
      'CREATE TABLE c (id int PRIMARY KEY, b int REFERENCES b)',
    );
    const before = await catalogText(session);
    const all = await planOf(session);
    const first = await beginRun(session, all);
    await inTransaction(session, () => takeAway(session, first, all));
    await sql(session, 'INSERT INTO c VALUES (1, 1)', `UPDATE lethe.run SET state = 'superseded'`);

    const replace = await planOf(session, { only: ['a'] });
    const second = await beginRun(session, replace);
    await inTransaction(session, () => takeAway(session, second, replace));
    const { restored, emptied } = await restoreDebts(session, unfenced, second, replace);
    expect({ restored, emptied: [...emptied].sort() }).toEqual({
      restored: 3,
      emptied: ['public.b', 'public.c'],
    });
    // What is left concerns `a`.
    expect((await takenRows(session)).map(({ object, run }) => [object, run])).toEqual([
      ['a_pkey', second],
      ['b_a_fkey', second],
    ]);
    await sql(session, 'INSERT INTO a VALUES (1)', `UPDATE lethe.run SET state = 'superseded'`);

    const upsert = await planOf(session, { mode: 'upsert', only: ['a', 'b'] });
    const third = await beginRun(session, upsert);
    await inTransaction(session, () => takeAway(session, third, upsert));
    expect((await restoreDebts(session, unfenced, third, upsert)).restored).toBe(2);
    expect(await catalogText(session)).toEqual(before);
    expect(await takenRows(session)).toEqual([]);
  });

  test('between two open runs: the key goes to the one that still loads', async () => {
    const { url } = await database();
    const session = await connect(url);
    await sql(
      session,
      'CREATE TABLE a (id int PRIMARY KEY)',
      'CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)',
      'INSERT INTO a VALUES (1)',
    );
    const before = await catalogText(session);
    const [ofB, ofA] = [await planOf(session, { only: ['b'] }), await planOf(session, { only: ['a'] })];
    const runB = await beginRun(session, ofB);
    await inTransaction(session, () => takeAway(session, runB, ofB));
    const runA = await beginRun(session, ofA);
    await inTransaction(session, () => takeAway(session, runA, ofA));
    await sql(session, 'INSERT INTO b VALUES (1, 1)');
    const settle = async (run: string, plan: SagaPlan) => {
      await settleTables(session, { run, fence: unfenced }, plan.tables);
      await settleReferences(session, { run, fence: unfenced }, plan.tables);
    };
    await markLoaded(session, runB, [1]);
    await settle(runB, ofB);
    expect((await takenRows(session)).map(({ object }) => object)).toEqual(['a_pkey', 'b_a_fkey']);
    await sql(session, 'INSERT INTO a VALUES (1)');
    await settle(runA, ofA);
    expect(await catalogText(session)).toEqual(before);
  });
});
