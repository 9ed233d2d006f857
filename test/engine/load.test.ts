import { afterAll, expect, test } from 'vitest';
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

onVersions('loading a table', (version) => {
  test('kept columns arrive as they were, whatever is in them', async () => {
    const s = await scene({
      version,
      schema: [
        `CREATE TABLE t (id bigint PRIMARY KEY, a text, b jsonb, c bytea, d text[], e numeric, f timestamptz, "g h" text)`,
      ],
      rows: [
        `INSERT INTO t VALUES
          (1, 'plain', '{"a": 1}', '\\x00ff', ARRAY['x', NULL, 'a"b\\c'], 1.50, 'infinity', ''),
          (2, E'tab\\there\\nline\\\\back', NULL, NULL, '{}', 'NaN', '2024-02-29 12:00+05', '\\N'),
          (3, '\\N', 'null', '', NULL, NULL, NULL, NULL),
          (4, 'Grüße 漢字 😀', '"😀"', NULL, NULL, -0.0, '-infinity', '\\.'),
          (5, E'\\b\\f\\r\\v', NULL, NULL, NULL, 1e100, NULL, E'\\r\\n')`,
      ],
    });
    const result = await s.load(['t']);
    expect(result).toMatchObject({ rows: 5, quarantined: 0 });
    expect(await s.content('destination', 't')).toEqual(await s.content('source', 't'));
  });

  test('transformed columns change, NULL stays, the rest is untouched', async () => {
    const s = await scene({
      version,
      schema: [`CREATE TABLE p (id bigint PRIMARY KEY, note text, email text, name text)`],
      rows: [
        `INSERT INTO p SELECT i, E'n\\t' || i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'user' || i || '@example.com' END, 'Zoë\\' || i
         FROM generate_series(1, 1000) AS i`,
      ],
      job: `tables: { public.p: { columns: { id: permute, email: email, name: scramble } } }`,
    });
    await s.load(['p']);
    const [counts] = await s.rows(
      'destination',
      `SELECT count(*) AS n, count(email) AS emails, count(*) FILTER (WHERE email LIKE '%user%@example.com') AS leaked,
         count(DISTINCT id) AS ids, count(*) FILTER (WHERE length(name) = length(split_part(note, E'\\t', 2)) + 4) AS lengths FROM p`,
    );
    expect(counts).toEqual({ n: '1000', emails: '667', leaked: '0', ids: '1000', lengths: '1000' });
    expect(await s.content('destination', 'p', 'note')).toEqual(await s.content('source', 'p', 'note'));
  });

  test('a table goes in batches of exact size, in several partitions, and the ledger adds up', async () => {
    const s = await scene({
      version,
      schema: [`CREATE TABLE t (a text COLLATE "en-x-icu", b int, v text, PRIMARY KEY (a, b))`],
      rows: [
        `INSERT INTO t SELECT CASE WHEN i % 10 = 0 THEN 'ä' || i ELSE 'skew' END, i, repeat('x', i % 50) FROM generate_series(1, 5000) AS i`,
        `ANALYZE t`,
      ],
      job: 'batchRows: 300',
    });
    expect(await s.load(['t'])).toMatchObject({ rows: 5000 });
    expect(await s.content('destination', 't')).toEqual(await s.content('source', 't'));
    const partitions = await s.rows(
      'destination',
      `SELECT partition, done, head FROM lethe.partition ORDER BY 1`,
    );
    expect(partitions.length).toBe(5);
    expect(partitions.every(({ done, head }) => done === 't' && /^[0-9a-f]{64}$/.test(head!))).toBe(true);
    const batches = await s.rows(
      'destination',
      `SELECT partition, batch, state, rows FROM lethe.batch ORDER BY 1, 2`,
    );
    expect(batches.reduce((sum, { rows }) => sum + Number(rows), 0)).toBe(5000);
    expect(batches.every(({ state }) => state === 'committed')).toBe(true);
    const last = new Map(batches.map((row) => [row.partition, row.batch]));
    for (const row of batches) if (last.get(row.partition) !== row.batch) expect(row.rows).toBe('300');
    const again = await s.load(['t']);
    expect(again.rows).toBe(5000);
    expect(await s.rows('destination', 'SELECT count(*) FROM t')).toEqual([{ count: '5000' }]);
  });

  test('a table without a key goes by blocks; an empty one is done at once', async () => {
    const s = await scene({
      version,
      schema: [`CREATE TABLE heap (v text, n int)`, `CREATE TABLE nothing (v text)`],
      rows: [
        `INSERT INTO heap SELECT repeat('y', 200), i FROM generate_series(1, 4000) AS i`,
        'ANALYZE heap',
      ],
      job: 'batchRows: 250',
    });
    expect(await s.load(['heap', 'nothing'])).toMatchObject({ rows: 4000 });
    expect(await s.content('destination', 'heap')).toEqual(await s.content('source', 'heap'));
    const [{ count }] = (await s.rows(
      'destination',
      'SELECT count(*) FROM lethe.batch WHERE table_id = 1',
    )) as [{ count: string }];
    expect(Number(count)).toBeGreaterThan(10);
  });

  test('rows without any column are counted, and arrive', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE bare ()'],
      rows: ['INSERT INTO bare DEFAULT VALUES', 'INSERT INTO bare DEFAULT VALUES'],
    });
    expect(await s.load(['bare'])).toMatchObject({ rows: 2 });
    expect(await s.rows('destination', 'SELECT count(*) FROM bare')).toEqual([{ count: '2' }]);
  });
});
