import { afterAll, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { takenRows } from '../../postgres/ledger/ddl.js';
import { openRowKey } from '../../postgres/load/seals.js';
import { Source } from '../../postgres/load/source.js';
import { takeAway } from '../../postgres/saga/take-away.js';
import { withTransaction } from '../../postgres/session.js';
import { type Settlement, settleReferences, settleTables } from '../../postgres/settle/settle.js';
import { onVersions } from '../harness/servers.js';
import { RUN_TIME, Scene, type SceneOptions } from './load-fixture.js';
import { catalogText, unfenced } from './saga-fixture.js';

const scenes: Scene[] = [];
afterAll(async () => {
  for (const made of scenes) await made.end();
});

/** A run from what is taken away to what is put back, with everything that settling may need. */
class Run {
  private constructor(
    readonly scene: Scene,
    readonly before: string[],
  ) {}

  /** Makes the scene, takes away and loads. */
  static async loaded(options: SceneOptions): Promise<Run> {
    const scene = await Scene.make(options);
    scenes.push(scene);
    const before = await catalogText(scene.destination);
    await withTransaction(scene.destination, () =>
      takeAway(scene.destination, scene.run, scene.plan, { keepIndexesBelow: 0 }),
    );
    await scene.load(scene.plan.tables.map(({ source }) => source.name));
    return new Run(scene, before);
  }

  async settlement(snapshot = true): Promise<Settlement> {
    const { scene } = this;
    const { snapshot: held } = await scene.task([]);
    return {
      run: scene.run,
      fence: unfenced,
      removing: {
        plan: scene.plan,
        keys: jobKeys(scene.jobKey),
        runTime: RUN_TIME,
        openSource: async () =>
          snapshot
            ? Source.open({ url: scene.sourceDb.url, role: 'source', applicationName: 'again' }, held.ids)
            : undefined,
      },
    };
  }

  async settle(snapshot = true): Promise<void> {
    const settlement = await this.settlement(snapshot);
    const { destination, plan } = this.scene;
    await settleTables(destination, settlement, plan.tables);
    await settleReferences(destination, settlement, plan.tables);
  }

  /** `[table, ...key, code, constraint, waits]` of each row in quarantine. */
  async quarantined(): Promise<(string | null)[][]> {
    const { scene } = this;
    const rows = await scene.rows(
      'destination',
      'SELECT table_id, key, code, constraint_name, waits_for_parent AS waits FROM lethe.quarantine ORDER BY table_id, id',
    );
    const keys = jobKeys(scene.jobKey);
    const name = (id: string | null) =>
      scene.plan.tables.find((table) => table.id === Number(id))!.source.name;
    return rows
      .map((row) => [
        name(row.table_id!),
        ...openRowKey(keys, { run: scene.run, table: Number(row.table_id) }, row.key!),
        row.code!,
        row.constraint_name!,
        row.waits!,
      ])
      .sort((a, b) => String(a).localeCompare(String(b), 'en', { numeric: true }));
  }

  async ids(table: string): Promise<string> {
    const rows = await this.scene.rows('destination', `SELECT id FROM ${table} ORDER BY id`);
    return rows.map(({ id }) => id).join(' ');
  }
}

onVersions('settling', (version) => {
  test('of rows that are equal under a unique index, the one with the smallest source key stays', async () => {
    const run = await Run.loaded({
      version,
      schema: ['CREATE TABLE t (id int PRIMARY KEY, v text, n int)'],
      rows: [
        `INSERT INTO t SELECT 1000 - i, 'v' || i, i FROM generate_series(1, 900) AS i`,
        `UPDATE t SET v = 'Same' WHERE id IN (300, 500, 700)`,
        `UPDATE t SET v = 'same' WHERE id = 200`,
        `UPDATE t SET n = 5 WHERE id IN (150, 160)`,
      ],
      later: ['CREATE UNIQUE INDEX once ON t (lower(v)) WHERE n > 10', 'CREATE UNIQUE INDEX n_once ON t (n)'],
      job: 'batchRows: 100\nonFailure: quarantine',
    });
    await run.settle();
    expect(await run.quarantined()).toEqual([
      ['t', '160', '23505', 'n_once', 'f'],
      ['t', '300', '23505', 'once', 'f'],
      ['t', '500', '23505', 'once', 'f'],
      ['t', '700', '23505', 'once', 'f'],
      ['t', '995', '23505', 'n_once', 'f'],
    ]);
    expect(await catalogText(run.scene.destination)).toEqual(run.before);
  });

  test('transformed values, citext, nondeterministic collations and NULLS NOT DISTINCT clash as their index says', async () => {
    const run = await Run.loaded({
      version,
      schema: [
        'CREATE EXTENSION citext',
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        'CREATE TABLE t (id int PRIMARY KEY, c citext, l text COLLATE loose, d text, kind text)',
      ],
      rows: [
        `INSERT INTO t SELECT i, 'c' || i, 'l' || i, 'd' || i, repeat('k', i::int) FROM generate_series(1, 9) AS i`,
        `UPDATE t SET c = 'C1' WHERE id = 2`,
        `UPDATE t SET l = 'L1' WHERE id = 3`,
        `UPDATE t SET d = NULL WHERE id IN (4, 5)`,
        `UPDATE t SET kind = repeat('x', 20) WHERE id = 6`,
        `UPDATE t SET kind = repeat('y', 20) WHERE id = 7`,
      ],
      later: [
        'CREATE UNIQUE INDEX c_once ON t (c)',
        'CREATE UNIQUE INDEX l_once ON t (l)',
        'CREATE UNIQUE INDEX d_once ON t (d) NULLS NOT DISTINCT',
        'CREATE UNIQUE INDEX kind_once ON t (kind)',
      ],
      job: `onFailure: quarantine
tables:
  public.t:
    columns:
      kind: { mask: { with: "*" } }`,
    });
    await run.settle();
    const found = (await run.quarantined()).map(([, id, , constraint]) => `${id} ${constraint}`);
    expect(found).toEqual(['2 c_once', '3 l_once', '5 d_once', '7 kind_once']);
    expect(await catalogText(run.scene.destination)).toEqual(run.before);
  });

  test('rows that exclude each other', async () => {
    const run = await Run.loaded({
      version,
      schema: ['CREATE TABLE t (id int PRIMARY KEY, during int4range)'],
      rows: [
        `INSERT INTO t SELECT i, int4range(i * 10, i * 10 + 5) FROM generate_series(1, 50) AS i`,
        `INSERT INTO t VALUES (100, '[12,23)'), (101, '[22,24)'), (0, '[300,301)')`,
      ],
      later: ['ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&)'],
      job: 'onFailure: quarantine',
    });
    await run.settle();
    expect(await run.quarantined()).toEqual([
      ['t', '30', '23P01', 'apart', 'f'],
      ['t', '100', '23P01', 'apart', 'f'],
      ['t', '101', '23P01', 'apart', 'f'],
    ]);
    expect(await catalogText(run.scene.destination)).toEqual(run.before);
  });

  test('orphans go, with all that references them, through a cycle and a chain', async () => {
    const run = await Run.loaded({
      version,
      schema: [
        'CREATE TABLE a (id int PRIMARY KEY, up int, b int)',
        'CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL)',
        'CREATE TABLE leaf (id int PRIMARY KEY, b int)',
      ],
      rows: [
        'INSERT INTO a VALUES (1, NULL, NULL), (2, 1, 10), (3, 99, NULL), (4, 3, NULL), (5, 4, 10), (6, NULL, 30)',
        'INSERT INTO b VALUES (10, 1), (20, 5), (30, 4)',
        'INSERT INTO leaf VALUES (100, 10), (200, 20), (300, 30), (400, NULL)',
      ],
      later: [
        'ALTER TABLE a ADD CONSTRAINT a_up FOREIGN KEY (up) REFERENCES a ON DELETE CASCADE',
        'ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED',
        'ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a ON DELETE RESTRICT',
        'ALTER TABLE leaf ADD CONSTRAINT leaf_b FOREIGN KEY (b) REFERENCES b',
      ],
      job: 'onFailure: quarantine',
    });
    await run.settle();
    expect([await run.ids('a'), await run.ids('b'), await run.ids('leaf')]).toEqual(['1 2', '10', '100 400']);
    expect((await run.quarantined()).map(([table, id, , , waits]) => `${table} ${id} ${waits}`)).toEqual([
      'a 3 t',
      'a 4 t',
      'a 5 t',
      'a 6 t',
      'b 20 t',
      'b 30 t',
      'leaf 200 t',
      'leaf 300 t',
    ]);
    expect(await catalogText(run.scene.destination)).toEqual(run.before);
  });

  test('composite keys by MATCH SIMPLE and MATCH FULL, citext, partitioned tables', async () => {
    const run = await Run.loaded({
      version,
      schema: [
        'CREATE EXTENSION citext',
        'CREATE TABLE parent (a int, b citext, PRIMARY KEY (a, b)) PARTITION BY LIST (a)',
        'CREATE TABLE parent_1 PARTITION OF parent FOR VALUES IN (1)',
        'CREATE TABLE parent_2 PARTITION OF parent FOR VALUES IN (2)',
        'CREATE TABLE simple (id int PRIMARY KEY, a int, b citext)',
        'CREATE TABLE full_ (id int PRIMARY KEY, a int, b citext)',
        'CREATE TABLE part (id int, a int, b citext, PRIMARY KEY (id)) PARTITION BY HASH (id)',
        'CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0)',
        'CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1)',
      ],
      rows: [
        `INSERT INTO parent VALUES (1, 'x'), (2, 'y')`,
        ...['simple', 'full_', 'part'].map(
          (name) =>
            `INSERT INTO ${name} VALUES (1, 1, 'X'), (2, 1, 'y'), (3, NULL, 'z'), (4, NULL, NULL), (5, 2, 'Y')`,
        ),
      ],
      later: [
        'ALTER TABLE simple ADD CONSTRAINT k FOREIGN KEY (a, b) REFERENCES parent',
        'ALTER TABLE full_ DROP CONSTRAINT full__pkey',
        'ALTER TABLE full_ ADD CONSTRAINT k FOREIGN KEY (a, b) REFERENCES parent MATCH FULL',
        'ALTER TABLE part ADD CONSTRAINT k FOREIGN KEY (a, b) REFERENCES parent',
        'CREATE UNIQUE INDEX b_once ON parent_2 (b)',
        'ALTER TABLE part_1 ADD CONSTRAINT own FOREIGN KEY (b) REFERENCES parent_2 (b)',
      ],
      job: 'onFailure: quarantine',
    });
    await run.settle();
    // The key that a partition has by itself looks for its parents in one partition only.
    const own = await run.scene.rows(
      'source',
      "SELECT id FROM part_1 WHERE id <> 2 AND b NOT IN ('y') ORDER BY id",
    );
    expect(own.length).toBeGreaterThan(0);
    expect((await run.quarantined()).map(([table, id]) => `${table} ${id}`)).toEqual([
      'full_ 2',
      'full_ 3',
      ...[...own.map(({ id }) => `part ${id}`), 'part 2'].sort(),
      'simple 2',
    ]);
    expect(await catalogText(run.scene.destination)).toEqual(run.before);
  });

  test('above the limit nothing is removed, the key is NOT VALID and owed, and the run fails', async () => {
    const run = await Run.loaded({
      version,
      schema: [
        'CREATE TABLE parent (id int PRIMARY KEY)',
        'CREATE TABLE child (id int PRIMARY KEY, p int, v int)',
      ],
      rows: [
        'INSERT INTO parent VALUES (1)',
        'INSERT INTO child SELECT i, i % 5, i % 4 FROM generate_series(1, 20) AS i',
      ],
      later: [
        'ALTER TABLE child ADD CONSTRAINT child_p FOREIGN KEY (p) REFERENCES parent',
        'CREATE UNIQUE INDEX child_v ON child (v)',
      ],
      job: 'onFailure: { quarantine: 3 }',
    });
    const settlement = await run.settlement();
    const { destination, plan } = run.scene;
    const refused = (text: string) => ({ type: 'QuarantineLimit', message: expect.stringContaining(text) });
    await expect(settleTables(destination, settlement, plan.tables)).rejects.toMatchObject(
      refused('public.child.child_v'),
    );
    await expect(settleReferences(destination, settlement, plan.tables)).rejects.toMatchObject(
      refused('public.child.child_p'),
    );
    expect(await run.quarantined()).toEqual([]);
    expect((await run.ids('child')).split(' ')).toHaveLength(20);
    const owed = await takenRows(destination, { run: run.scene.run });
    expect(owed.map(({ object, state }) => `${object} ${state}`)).toEqual(['child_v owed', 'child_p owed']);
    const now = await catalogText(destination);
    expect(run.before.filter((line) => !now.includes(line) && !line.startsWith('trigger'))).toEqual([
      expect.stringContaining('child_p'),
      expect.stringContaining('child_v'),
    ]);
    expect(now.some((line) => line.includes('child_p') && line.includes('NOT VALID'))).toBe(true);
  });

  test('without a snapshot to read again under, nothing is removed', async () => {
    const run = await Run.loaded({
      version,
      schema: ['CREATE TABLE t (id int PRIMARY KEY, v int)'],
      rows: ['INSERT INTO t VALUES (1, 1), (2, 1)'],
      later: ['CREATE UNIQUE INDEX once ON t (v)'],
      job: 'onFailure: quarantine',
    });
    await expect(run.settle(false)).rejects.toMatchObject({ type: 'QuarantineLimit' });
    expect(await run.ids('t')).toBe('1 2');
  });

  test('a table without a key is settled by where its rows lie in the snapshot', async () => {
    const run = await Run.loaded({
      version,
      schema: ['CREATE TABLE t (id int, v text)'],
      rows: [`INSERT INTO t SELECT i, i % 40 FROM generate_series(1, 42) AS i`],
      later: ['CREATE UNIQUE INDEX once ON t (v)'],
      job: 'onFailure: quarantine',
    });
    await run.settle();
    expect((await run.quarantined()).map(([, place]) => place)).toEqual(['(0,41)', '(0,42)']);
    expect(await run.ids('t')).toBe(Array.from({ length: 40 }, (_, i) => i + 1).join(' '));
  });
});
