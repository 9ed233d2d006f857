import { afterEach, expect, test } from 'vitest';
import { takenRows } from '../../postgres/ledger/ddl.js';
import { restoreRows } from '../../postgres/saga/put-back.js';
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
});

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
