import { afterAll, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { LetheError } from '../../errors/errors.js';
import { openRowKey } from '../../postgres/load/seals.js';
import { onVersions } from '../harness/servers.js';
import { Scene, type SceneOptions } from './load-fixture.js';

const scenes: Scene[] = [];
async function scene(options: SceneOptions): Promise<Scene> {
  const made = await Scene.make(options);
  scenes.push(made);
  return made;
}
afterAll(async () => {
  for (const made of scenes) await made.end();
});

async function quarantine(s: Scene) {
  const rows = await s.rows(
    'destination',
    'SELECT table_id, key, code, constraint_name, column_name, rule, message, waits_for_parent AS waits FROM lethe.quarantine ORDER BY id',
  );
  const keys = jobKeys(s.jobKey);
  return rows.map(({ key, ...row }) => ({
    code: row.code,
    constraint_name: row.constraint_name,
    column_name: row.column_name,
    rule: row.rule,
    message: row.message,
    waits: row.waits,
    key: openRowKey(keys, { run: s.run, table: Number(row.table_id) }, key!),
  }));
}

const MANY = "INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 5000) AS i";

onVersions('rows that are refused', (version) => {
  test('every kind is found, quarantined by its key and reason, and the others are written', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE t (id bigint PRIMARY KEY, v text, n int)'],
      rows: [
        MANY,
        `UPDATE t SET n = -1 WHERE id IN (7, 4999)`,
        `UPDATE t SET v = NULL WHERE id = 70`,
        `UPDATE t SET v = repeat('x', 30) WHERE id = 700`,
      ],
      later: [
        'ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0)',
        'ALTER TABLE t ALTER v SET NOT NULL, ALTER v TYPE varchar(10)',
      ],
      job: 'batchRows: 2000\nonFailure: quarantine',
    });
    expect(await s.load(['t'])).toMatchObject({ rows: 4996, quarantined: 4 });
    const found = await quarantine(s);
    expect(
      found.map(({ key, code, constraint_name, column_name }) => [
        ...key,
        code,
        constraint_name,
        column_name,
      ]),
    ).toEqual([
      ['7', '23514', 'positive', null],
      ['70', '23502', null, 'v'],
      ['700', '22001', null, 'v'],
      ['4999', '23514', 'positive', null],
    ]);
    for (const { message } of found) expect(message).not.toMatch(/xxx|-1/);
    expect(await s.rows('destination', 'SELECT count(*) FROM t')).toEqual([{ count: '4996' }]);
    const batches = await s.rows(
      'destination',
      'SELECT rows, quarantined, state FROM lethe.batch ORDER BY partition, batch',
    );
    expect(batches.map(({ rows, quarantined }) => Number(rows) + Number(quarantined))).toEqual([
      2000, 2000, 1000,
    ]);
  });

  test('what a transformer cannot take goes to quarantine, never through', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE d (id int PRIMARY KEY, born date)'],
      rows: [`INSERT INTO d VALUES (1, '2000-01-01'), (2, 'infinity'), (3, '1990-05-05')`],
      job: 'onFailure: quarantine\ntables: { public.d: { columns: { born: dateShift } } }',
    });
    expect(await s.load(['d'])).toMatchObject({ rows: 2, quarantined: 1 });
    expect(await quarantine(s)).toMatchObject([
      { key: ['2'], code: 'transformer', column_name: 'born', rule: 'columns' },
    ]);
  });

  test('of duplicates the one with the later key loses', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE u (id int PRIMARY KEY, v text)'],
      rows: [
        `INSERT INTO u SELECT i, CASE WHEN i IN (10, 900) THEN 'same' ELSE i::text END FROM generate_series(1000, 1, -1) AS i`,
      ],
      destination: ['CREATE UNIQUE INDEX one_v ON u (v)'],
      job: 'onFailure: quarantine',
    });
    expect(await s.load(['u'])).toMatchObject({ rows: 999, quarantined: 1 });
    expect(await quarantine(s)).toMatchObject([{ key: ['900'], code: '23505', constraint_name: 'one_v' }]);
  });

  test('a deferred constraint speaks up before the commit', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE u (id int PRIMARY KEY, v text)'],
      rows: [`INSERT INTO u VALUES (1, 'a'), (2, 'a'), (3, 'b')`],
      destination: ['ALTER TABLE u ADD CONSTRAINT later UNIQUE (v) DEFERRABLE INITIALLY DEFERRED'],
      job: 'onFailure: quarantine',
    });
    // As a replica the server would not check it at all.
    expect(await s.load(['u'], { replicaRole: false })).toMatchObject({ rows: 2, quarantined: 1 });
    expect(await quarantine(s)).toMatchObject([{ key: ['2'], code: '23505', constraint_name: 'later' }]);
  });

  test('a row whose parent comes later in the batch is no orphan, one without parent waits for it', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE e (id int PRIMARY KEY, boss int, n int)'],
      rows: [
        `INSERT INTO e SELECT i, CASE WHEN i < 100 THEN i + 1 END, 1 FROM generate_series(1, 100) AS i`,
        'INSERT INTO e VALUES (101, 999, 1), (102, NULL, 0)',
      ],
      destination: [
        'ALTER TABLE e ADD CONSTRAINT boss FOREIGN KEY (boss) REFERENCES e, ADD CONSTRAINT positive CHECK (n > 0)',
      ],
      job: 'onFailure: quarantine\ntables: { public.e: { accept: [positive] } }',
    });
    expect(await s.load(['e'], { replicaRole: false })).toMatchObject({ rows: 100, quarantined: 2 });
    expect(await quarantine(s)).toMatchObject([
      { key: ['102'], code: '23514', waits: 'f' },
      { key: ['101'], code: '23503', constraint_name: 'boss', waits: 't' },
    ]);
  });

  test('without a key a row is named by its place', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE h (v text)'],
      rows: [`INSERT INTO h VALUES ('a'), (NULL), ('b')`],
      destination: ['ALTER TABLE h ALTER v SET NOT NULL'],
      job: 'onFailure: quarantine',
    });
    expect(await s.load(['h'])).toMatchObject({ rows: 2, quarantined: 1 });
    expect(await quarantine(s)).toMatchObject([{ key: ['(0,2)'] }]);
  });

  test('the limit stops the table; the batch is marked as failed and nothing of it is there', async () => {
    for (const onFailure of ['fail', '{ quarantine: 2 }', '{ quarantine: 0.05% }']) {
      const s = await scene({
        version,
        schema: ['CREATE TABLE t (id bigint PRIMARY KEY, v text, n int)'],
        rows: [MANY, 'UPDATE t SET n = 0 WHERE id IN (1, 2, 3)', 'ANALYZE t'],
        destination: ['ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0)'],
        job: `batchRows: 100\nonFailure: ${onFailure}\ntables: { public.t: { accept: [positive] } }`,
      });
      const error = await s.load(['t']).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(LetheError);
      expect(error).toMatchObject({
        type: 'QuarantineLimit',
        details: { code: '23514', constraint: 'positive' },
      });
      expect(await s.rows('destination', 'SELECT state, error FROM lethe.batch')).toEqual([
        { state: 'failed', error: '23514' },
      ]);
      expect(await s.rows('destination', 'SELECT count(*) FROM t')).toEqual([{ count: '0' }]);
      expect(await quarantine(s)).toEqual([]);
    }
  });

  test('a trigger that swallows rows is noticed', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE t (id int PRIMARY KEY)'],
      rows: ['INSERT INTO t VALUES (1), (2)'],
      destination: [
        `CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
        'CREATE TRIGGER swallow BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION swallow()',
      ],
    });
    await expect(s.load(['t'], { replicaRole: false })).rejects.toMatchObject({ type: 'ValidationFailed' });
    expect(await s.load(['t'])).toMatchObject({ rows: 2 });
  });
});
