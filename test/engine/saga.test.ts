import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { takenRows } from '../../postgres/ledger/ddl.js';
import { restoreRows } from '../../postgres/saga/put-back.js';
import { restoreRuns } from '../../postgres/saga/restore.js';
import { takeAway } from '../../postgres/saga/take-away.js';
import { query, type Session } from '../../postgres/session.js';
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
  inTransaction,
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

onVersions('what is taken away comes back', (version) => {
  async function database(file?: string): Promise<Session> {
    const made = await createDatabase(version, file);
    databases.push(made);
    const session = await open(made.url);
    sessions.push(session);
    return session;
  }

  for (const [file, schemas] of [
    ['sakila.sql', ['public']],
    ['chinook.sql', ['public']],
  ] as const) {
    const { path, missing } = sharedData(file);
    describeUnless(missing, file, () => {
      test('is exactly as before', async () => {
        const session = await database(path);
        const before = await catalogText(session, schemas);
        const plan = await planOf(session, { schemas: [...schemas] });
        let filled = 0;
        for (const { destination } of plan.tables)
          filled += Math.min(1, await countRows(session, destination));
        const run = await beginRun(session, plan);
        const taken = await inTransaction(session, () => takeAway(session, run, plan));
        expect(taken.taken['foreign key']).toBeGreaterThan(5);
        expect(taken.emptied.length).toBe(filled);
        for (const table of plan.tables) {
          expect(await countRows(session, table.destination), table.destination.name).toBe(0);
        }
        expect(await catalogText(session, schemas)).not.toEqual(before);
        for (const row of await takenRows(session)) await restoreRows(session, unfenced, [row]);
        expect(await catalogText(session, schemas)).toEqual(before);
        expect(await takenRows(session)).toEqual([]);
      });
    });
  }

  test('every particular of indexes, keys, triggers and rules', async () => {
    const session = await database();
    await sql(session, ...PARTICULARS);
    const before = await catalogText(session, ['x']);
    const plan = await planOf(session, { schemas: ['x'] });
    const run = await beginRun(session, plan);
    await inTransaction(session, () => takeAway(session, run, plan));
    const left = await query(
      session,
      `SELECT indexrelid::regclass AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'x'::regnamespace ORDER BY 1`,
    );
    // The one that a GROUP BY view needs, and the replica identity of a published table.
    expect(left.map((row) => row.name)).toEqual(['x.grouped_pkey', 'x.published_pkey']);
    for (const row of await takenRows(session)) await restoreRows(session, unfenced, [row]);
    expect(await catalogText(session, ['x'])).toEqual(before);
  });

  if (version >= 18)
    test('temporal, unenforced and unvalidated keys of PostgreSQL 18', async () => {
      const session = await database();
      await sql(session, ...TEMPORAL);
      const before = await catalogText(session, ['x']);
      const plan = await planOf(session, { schemas: ['x'] });
      const run = await beginRun(session, plan);
      const { taken } = await inTransaction(session, () => takeAway(session, run, plan));
      expect(taken).toEqual({ 'foreign key': 3, constraint: 2 });
      for (const row of await takenRows(session)) await restoreRows(session, unfenced, [row]);
      expect(await catalogText(session, ['x'])).toEqual(before);
    });

  test('deferrable constraints go from small tables too: nothing would check them in a replica session', async () => {
    const session = await database();
    await sql(
      session,
      'CREATE TABLE public.small (id int PRIMARY KEY, a int CONSTRAINT late UNIQUE DEFERRABLE, b int CONSTRAINT soon UNIQUE)',
    );
    const plan = await planOf(session, { rows: 10 });
    const run = await beginRun(session, plan);
    await inTransaction(session, () => takeAway(session, run, plan));
    expect((await takenRows(session, { run })).map((row) => row.object)).toEqual(['late']);
  });

  test('tables are emptied without their triggers', async () => {
    const session = await database();
    await sql(
      session,
      'CREATE TABLE a (id int)',
      'INSERT INTO a VALUES (1)',
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$`,
      'CREATE TRIGGER kept BEFORE TRUNCATE ON a EXECUTE FUNCTION refuse()',
      'CREATE TRIGGER always BEFORE TRUNCATE ON a EXECUTE FUNCTION refuse()',
      'ALTER TABLE a ENABLE ALWAYS TRIGGER always',
    );
    const before = await catalogText(session);
    const plan = await planOf(session);
    const run = await beginRun(session, plan);
    const { emptied } = await inTransaction(session, () => takeAway(session, run, plan));
    expect(emptied).toEqual(['public.a']);
    await sql(session, 'SET LOCAL session_replication_role = replica; INSERT INTO a VALUES (2)');
    await restoreRuns(session, [run]);
    expect(await countRows(session, { schema: 'public', name: 'a' })).toBe(0);
    expect(await catalogText(session)).toEqual(before);
  });

  test('the tablespace of each index, whatever the session would choose', async () => {
    const session = await database();
    const space = `space_${randomBytes(4).toString('hex')}`;
    await session.client.query('SET allow_in_place_tablespaces = on');
    await session.client.query(`CREATE TABLESPACE ${space} LOCATION ''`);
    try {
      await sql(
        session,
        `CREATE TABLE a (id int CONSTRAINT a_key PRIMARY KEY USING INDEX TABLESPACE ${space}, v int)`,
        'CREATE INDEX a_here ON a (v)',
        `CREATE INDEX a_there ON a (id, v) TABLESPACE ${space}`,
        `CREATE TABLE p (id int, PRIMARY KEY (id) USING INDEX TABLESPACE ${space}) PARTITION BY LIST (id)`,
        'CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1)',
      );
      const before = await catalogText(session);
      expect(before.filter((line) => line.includes(space))).toHaveLength(4);
      const plan = await planOf(session);
      const run = await beginRun(session, plan);
      await inTransaction(session, () => takeAway(session, run, plan));
      await session.client.query(`SET default_tablespace = ${space}`);
      for (const row of await takenRows(session)) await restoreRows(session, unfenced, [row]);
      await session.client.query('RESET default_tablespace');
      expect(await catalogText(session)).toEqual(before);
    } finally {
      await sql(session, 'DROP TABLE a, p');
      await session.client.query(`DROP TABLESPACE ${space}`);
    }
  });

  test("somebody's open transaction is not waited for for ever, and nothing has changed", async () => {
    const session = await database();
    await sql(session, 'CREATE TABLE a (id int PRIMARY KEY)', 'INSERT INTO a VALUES (1)');
    const plan = await planOf(session);
    const run = await beginRun(session, plan);
    const before = await catalogText(session);
    const reader = await open(databases.at(-1)!.url);
    sessions.push(reader);
    await query(reader, 'BEGIN');
    await query(reader, 'SELECT FROM public.a');
    const take = () => inTransaction(session, () => takeAway(session, run, plan, { lockPatienceMs: 300 }));
    await expect(take()).rejects.toMatchObject({
      type: 'Unreachable',
      message: expect.stringContaining('another session has an open transaction there'),
    });
    expect(await catalogText(session)).toEqual(before);
    expect(await countRows(session, 'a')).toBe(1);
    await query(reader, 'ROLLBACK');
    expect((await take()).emptied).toEqual(['public.a']);
  });

  test('what somebody made again by hand, or dropped with its table, is crossed off as it is', async () => {
    const session = await database();
    await sql(
      session,
      'CREATE TABLE a (id int PRIMARY KEY, v int)',
      'CREATE INDEX a_v ON a (v)',
      'CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)',
      'CREATE TABLE gone (id int PRIMARY KEY, a int REFERENCES a)',
    );
    const plan = await planOf(session);
    const run = await beginRun(session, plan);
    await inTransaction(session, () => takeAway(session, run, plan));
    await sql(
      session,
      'CREATE INDEX a_v ON a (v DESC)',
      'ALTER TABLE a ADD CONSTRAINT a_pkey PRIMARY KEY (id)',
      'INSERT INTO b VALUES (1, 2)',
      'ALTER TABLE b ADD CONSTRAINT b_a_fkey FOREIGN KEY (a) REFERENCES a NOT VALID',
      'DROP TABLE gone',
    );
    // The key that came back NOT VALID is checked, which fails while the row is there.
    const [key, ...others] = (await takenRows(session)).sort((one) => (one.object === 'b_a_fkey' ? -1 : 1));
    await restoreRows(session, unfenced, others);
    await expect(restoreRows(session, unfenced, [key!])).rejects.toMatchObject({
      details: { code: '23503' },
    });
    await sql(session, 'DELETE FROM b');
    await restoreRows(session, unfenced, [key!]);
    expect(await takenRows(session)).toEqual([]);
    const [valid] = await query(session, `SELECT convalidated FROM pg_constraint WHERE conname = 'b_a_fkey'`);
    expect(valid?.convalidated).toBe('t');
  });
});

const TEMPORAL = [
  'CREATE SCHEMA x',
  `CREATE TABLE x.room (kind int4range, during daterange,
     CONSTRAINT room_once PRIMARY KEY (kind, during WITHOUT OVERLAPS) WITH (fillfactor = 75))`,
  `CREATE TABLE x.booking (kind int4range, during daterange,
     CONSTRAINT in_room FOREIGN KEY (kind, PERIOD during) REFERENCES x.room (kind, PERIOD during))`,
  `INSERT INTO x.room VALUES ('[1,2)', '[2000-01-01,2001-01-01)')`,
  `INSERT INTO x.booking VALUES ('[1,2)', '[2000-02-01,2000-03-01)')`,
  'CREATE TABLE x.parent (id int PRIMARY KEY)',
  'CREATE TABLE x.loose (id int, CONSTRAINT not_enforced FOREIGN KEY (id) REFERENCES x.parent NOT ENFORCED)',
  'CREATE TABLE x.part (id int) PARTITION BY LIST (id)',
  'CREATE TABLE x.part_1 PARTITION OF x.part FOR VALUES IN (1)',
  'ALTER TABLE x.part ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES x.parent NOT VALID',
];

const PARTICULARS = [
  'CREATE SCHEMA x',
  `CREATE TABLE x.parent (id int CONSTRAINT "The Key" PRIMARY KEY WITH (fillfactor = 70), code text, v int,
     CONSTRAINT code_once UNIQUE (code) DEFERRABLE INITIALLY DEFERRED)`,
  `COMMENT ON INDEX x."The Key" IS 'it''s \\ the key'`,
  `COMMENT ON CONSTRAINT "The Key" ON x.parent IS 'constraint''s own'`,
  'CREATE INDEX parent_lower ON x.parent (lower(code) text_pattern_ops DESC NULLS LAST, (v + 1)) WHERE v > 0',
  'ALTER INDEX x.parent_lower ALTER COLUMN 2 SET STATISTICS 321',
  'CREATE INDEX parent_code ON x.parent (code)',
  'ALTER TABLE x.parent CLUSTER ON parent_code',
  'CREATE UNIQUE INDEX parent_v ON x.parent (v) INCLUDE (code) NULLS NOT DISTINCT',
  `CREATE TABLE x.child (id int NOT NULL, a int, b text, during int4range,
     CONSTRAINT child_parent FOREIGN KEY (a) REFERENCES x.parent ON DELETE CASCADE ON UPDATE SET NULL
       DEFERRABLE INITIALLY DEFERRED,
     CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&) WITH (fillfactor = 60) WHERE (a > 0))`,
  `COMMENT ON CONSTRAINT child_parent ON x.child IS 'points up'`,
  'CREATE UNIQUE INDEX child_identity ON x.child (id)',
  'ALTER TABLE x.child REPLICA IDENTITY USING INDEX child_identity',
  'ALTER TABLE x.child ADD CONSTRAINT not_checked FOREIGN KEY (id) REFERENCES x.parent NOT VALID',
  'ALTER TABLE x.parent ADD CONSTRAINT itself FOREIGN KEY (v) REFERENCES x.parent (id)',
  // A key that a superuser switched off with DISABLE TRIGGER ALL.
  'CREATE TABLE x.off (id int REFERENCES x.parent)',
  'ALTER TABLE x.off DISABLE TRIGGER ALL',
  `CREATE FUNCTION x.shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$`,
  ...['o', 'a', 'r', 'd'].map(
    (name) =>
      `CREATE TRIGGER "${name} Trigger" BEFORE INSERT ON x.parent FOR EACH ROW EXECUTE FUNCTION x.shout()`,
  ),
  'ALTER TABLE x.parent ENABLE ALWAYS TRIGGER "a Trigger"',
  'ALTER TABLE x.parent ENABLE REPLICA TRIGGER "r Trigger"',
  'ALTER TABLE x.parent DISABLE TRIGGER "d Trigger"',
  'CREATE RULE skip AS ON INSERT TO x.child DO INSTEAD NOTHING',
  'ALTER TABLE x.child ENABLE ALWAYS RULE skip',
  'CREATE TABLE x.grouped (id int PRIMARY KEY, name text)',
  'CREATE VIEW x.names AS SELECT id, name, count(*) FROM x.grouped GROUP BY id',
  'CREATE TABLE x.published (id int PRIMARY KEY)',
  'CREATE PUBLICATION pub FOR TABLE x.published',
  `CREATE TABLE x.part (id int NOT NULL, k text, d date, up int, CONSTRAINT "Part PK" PRIMARY KEY (id, d) WITH (fillfactor = 80))
     PARTITION BY RANGE (d)`,
  `CREATE TABLE x.p1 PARTITION OF x.part FOR VALUES FROM ('2000-01-01') TO ('2010-01-01')`,
  'ALTER TABLE x.p1 ADD CONSTRAINT own_name FOREIGN KEY (up) REFERENCES x.parent',
  `CREATE TABLE x.p2 PARTITION OF x.part FOR VALUES FROM ('2010-01-01') TO ('2020-01-01') PARTITION BY HASH (id)`,
  'CREATE TABLE x.p2a PARTITION OF x.p2 FOR VALUES WITH (modulus 2, remainder 0)',
  'CREATE TABLE x.p2b PARTITION OF x.p2 FOR VALUES WITH (modulus 2, remainder 1)',
  'CREATE INDEX part_k ON x.part (k)',
  'ALTER INDEX x.p2a_k_idx RENAME TO "odd name"',
  'CREATE INDEX only_here ON x.p1 (id)',
  'CREATE INDEX half ON ONLY x.part (up)',
  'DROP INDEX x.half',
  'ALTER TABLE x.part ADD CONSTRAINT part_up FOREIGN KEY (up) REFERENCES x.parent',
  'CREATE TABLE x.to_part (id int, d date, CONSTRAINT to_part FOREIGN KEY (id, d) REFERENCES x.part MATCH FULL)',
  'CREATE TRIGGER down BEFORE INSERT ON x.part FOR EACH ROW EXECUTE FUNCTION x.shout()',
  'ALTER TABLE ONLY x.p1 ENABLE ALWAYS TRIGGER down',
];
