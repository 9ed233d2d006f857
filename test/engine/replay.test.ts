import { randomBytes } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import { onVersions } from '../harness/servers.js';
import { Scene, type SceneOptions, statements } from './load-fixture.js';
import { catalogText } from './saga-fixture.js';

const scenes: Scene[] = [];
async function scene(options: SceneOptions): Promise<Scene> {
  const made = await Scene.make(options);
  scenes.push(made);
  return made;
}
afterAll(async () => {
  for (const made of scenes) await made.end();
});

const pass = (n: number, waiting = false) => ({
  work: { kind: 'rows', replay: 1, pass: n, waiting } as const,
  replicaRole: false,
});

const outcomes = (s: Scene) =>
  s.rows(
    'destination',
    'SELECT outcome, count(*) AS n FROM lethe.quarantine GROUP BY outcome ORDER BY outcome',
  );

/** Keys of two columns, one of them a citext, with everything in it that COPY and JSON escape. */
const COMPOSITE: SceneOptions = {
  schema: [
    'CREATE EXTENSION citext',
    'CREATE TABLE k (a citext, b timestamptz, n int NOT NULL, PRIMARY KEY (b, a))',
  ],
  rows: [
    String.raw`INSERT INTO k SELECT E'it''s "\\quoted"\t' || i, timestamptz '2026-01-01' + i * interval '1 h', i
      FROM generate_series(1, 300) i`,
    'UPDATE k SET n = -1 WHERE n IN (3, 150, 151, 299)',
  ],
  later: ['ALTER TABLE k ADD CONSTRAINT positive CHECK (n > 0)'],
  job: 'onFailure: quarantine',
};

onVersions('quarantined rows', (version) => {
  test('are found by keys of any type, and copied when they fit', async () => {
    const s = await scene({ ...COMPOSITE, version });
    expect(await s.load(['k'])).toMatchObject({ rows: 296, quarantined: 4 });
    await statements(s.source, [
      "UPDATE k SET n = 1000 WHERE a LIKE E'%\\t3' OR a LIKE E'%\\t150'",
      "DELETE FROM k WHERE a LIKE E'%\\t299'",
    ]);
    await s.newSnapshot();
    expect(await s.load(['k'], pass(1))).toMatchObject({ rows: 2, gone: 1, quarantined: 1 });
    expect(await outcomes(s)).toEqual([
      { outcome: 'copied', n: '2' },
      { outcome: 'gone', n: '1' },
      { outcome: null, n: '1' },
    ]);
    // The same pass tries nothing twice, the next one tries what is left.
    expect(await s.load(['k'], pass(1))).toMatchObject({ rows: 0, quarantined: 1 });
    await statements(s.destination, ['ALTER TABLE k DROP CONSTRAINT positive']);
    expect(await s.load(['k'], pass(2))).toMatchObject({ rows: 1, quarantined: 0 });
    expect(await s.content('destination', 'k')).toEqual(await s.content('source', 'k'));
  });

  test('bring parents that are newer than the copy, and theirs, but none that is in quarantine itself', async () => {
    const s = await scene({
      version,
      schema: [
        'CREATE EXTENSION citext',
        'CREATE TABLE g (id int PRIMARY KEY, name citext UNIQUE NOT NULL)',
        'CREATE TABLE p (id int PRIMARY KEY, g_name citext NOT NULL REFERENCES g (name), n int NOT NULL)',
        'CREATE TABLE c (id int PRIMARY KEY, p_id int NOT NULL REFERENCES p, n int NOT NULL)',
      ],
      rows: [
        "INSERT INTO g SELECT i, 'G' || i FROM generate_series(1, 3) i",
        "INSERT INTO p SELECT i, 'g' || i, i FROM generate_series(1, 3) i",
        'INSERT INTO c SELECT i, 1 + i % 3, i FROM generate_series(1, 9) i',
        'UPDATE c SET n = 1000 WHERE id IN (4, 6)',
        'UPDATE p SET n = 1000 WHERE id = 3',
        'DELETE FROM c WHERE p_id = 3',
      ],
      later: [
        'ALTER TABLE c ADD CONSTRAINT few CHECK (n < 100)',
        'ALTER TABLE p ADD CONSTRAINT less CHECK (n < 100)',
      ],
      job: 'onFailure: quarantine',
    });
    await s.load(['g', 'p', 'c'], { replicaRole: false });
    expect(await outcomes(s)).toEqual([{ outcome: null, n: '3' }]);
    await statements(s.source, [
      "INSERT INTO g VALUES (4, 'G4')",
      "INSERT INTO p VALUES (4, 'g4', 4)",
      'UPDATE c SET n = 4, p_id = 4 WHERE id = 4',
      'UPDATE c SET n = 6, p_id = 3 WHERE id = 6',
      'UPDATE p SET n = 3 WHERE id = 3',
    ]);
    await s.newSnapshot();
    // Two parents come with the first row; the parent of the second is in quarantine, and waits for its own turn.
    expect(await s.load(['c'], pass(1))).toMatchObject({ rows: 3, quarantined: 1, waiting: 1 });
    expect(await s.load(['p'], pass(1))).toMatchObject({ rows: 1, quarantined: 0 });
    expect(await s.load(['c'], pass(2, true))).toMatchObject({ rows: 1, quarantined: 0 });
    for (const table of ['g', 'p', 'c']) {
      expect(await s.content('destination', table)).toEqual(await s.content('source', table));
    }
  });

  test('come together where they need each other in a circle, and leave the keys as they were', async () => {
    const s = await scene({
      version,
      schema: [
        'CREATE TABLE a (id int PRIMARY KEY, b_id int NOT NULL, n int NOT NULL)',
        'CREATE TABLE b (id int PRIMARY KEY, a_id int NOT NULL REFERENCES a DEFERRABLE, n int NOT NULL)',
        'ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b',
      ],
      rows: [
        `WITH one AS (INSERT INTO a SELECT i, i, i FROM generate_series(1, 8) i)
         INSERT INTO b SELECT i, 1 + i % 8, i FROM generate_series(1, 8) i`,
        // Two circles, of one row each in either table: both rows of the first can be mended, of the second but one.
        'UPDATE b SET a_id = id',
        'UPDATE a SET n = 1000 WHERE id IN (2, 5)',
        'UPDATE b SET n = 1000 WHERE id IN (2, 5)',
      ],
      later: [
        'ALTER TABLE a ADD CONSTRAINT few CHECK (n < 100)',
        'ALTER TABLE b ADD CONSTRAINT less CHECK (n < 100)',
      ],
      job: 'onFailure: quarantine\ntables: { public.a: { columns: { id: permute } } }',
    });
    const before = await catalogText(s.destination);
    await s.load(['a', 'b']);
    expect(await outcomes(s)).toEqual([{ outcome: null, n: '4' }]);
    await statements(s.source, ['UPDATE a SET n = 3 WHERE id IN (2, 5)', 'UPDATE b SET n = 3 WHERE id = 2']);
    await s.newSnapshot();
    expect(await s.load(['a'], pass(1))).toMatchObject({ rows: 0, quarantined: 2, waiting: 2 });
    expect(await s.load(['b'], pass(1))).toMatchObject({ rows: 2, quarantined: 1, waiting: 0 });
    expect(await s.load(['a'], pass(2, true))).toMatchObject({ rows: 0, quarantined: 1, waiting: 1 });
    expect(await catalogText(s.destination)).toEqual(before);

    await statements(s.source, ['UPDATE b SET n = 3 WHERE id = 5']);
    await s.newSnapshot();
    expect(await s.load(['b'], pass(3))).toMatchObject({ rows: 2, quarantined: 0 });
    expect(await outcomes(s)).toEqual([{ outcome: 'copied', n: '4' }]);
    const pairs = 'SELECT a.n, b.id FROM a JOIN b ON b.id = a.b_id AND b.a_id = a.id ORDER BY b.id';
    expect(await s.rows('destination', pairs)).toEqual(await s.rows('source', pairs));
    expect(await catalogText(s.destination)).toEqual(before);
  });

  test('are found also where the source lets nobody make a temporary table', async () => {
    const s = await scene({ ...COMPOSITE, version });
    const role = `reader_${randomBytes(6).toString('hex')}`;
    await s.load(['k']);
    await statements(s.source, [
      `CREATE ROLE ${role} LOGIN PASSWORD 'reader'`,
      `GRANT SELECT ON k TO ${role}`,
      `REVOKE TEMPORARY ON DATABASE "${s.sourceDb.name}" FROM PUBLIC`,
      'UPDATE k SET n = 7 WHERE n < 0',
    ]);
    await s.newSnapshot();
    const url = new URL(s.sourceDb.url);
    url.username = role;
    url.password = 'reader';
    try {
      expect(await s.load(['k'], { ...pass(1), source: { url: url.href } })).toMatchObject({
        rows: 4,
        quarantined: 0,
      });
      expect(await s.content('destination', 'k')).toEqual(await s.content('source', 'k'));
    } finally {
      await statements(s.source, [`DROP OWNED BY ${role}`, `DROP ROLE ${role}`]);
    }
  });

  test('of one pass may reference each other, and what waits comes with the next', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE e (id int PRIMARY KEY, boss int, n int NOT NULL)'],
      rows: [
        'INSERT INTO e SELECT i, i + 1, 1 FROM generate_series(1, 50) i',
        'INSERT INTO e VALUES (51, 99, 1), (99, NULL, 0)',
      ],
      destination: [
        'ALTER TABLE e ADD CONSTRAINT boss FOREIGN KEY (boss) REFERENCES e, ADD CONSTRAINT positive CHECK (n > 0)',
      ],
      job: 'onFailure: quarantine',
    });
    // The head of the chain is refused, so nobody of it has a parent.
    expect(await s.load(['e'], { replicaRole: false })).toMatchObject({ rows: 0, quarantined: 52 });
    expect(await s.load(['e'], pass(1))).toMatchObject({ rows: 0, waiting: 51 });
    await statements(s.source, ['UPDATE e SET n = 5 WHERE id = 99']);
    await s.newSnapshot();
    expect(await s.load(['e'], pass(2, true))).toMatchObject({ rows: 0, waiting: 51, quarantined: 52 });
    expect(await s.load(['e'], pass(3))).toMatchObject({ rows: 52, waiting: 0, quarantined: 0 });
    expect(await s.content('destination', 'e')).toEqual(await s.content('source', 'e'));
  });
});
