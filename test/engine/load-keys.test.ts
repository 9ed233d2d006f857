import { afterAll, expect, test } from 'vitest';
import { query } from '../../postgres/session.js';
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

/** Key type and an expression over i = 1 … 450 that is unique. */
const KEYS: readonly (readonly [type: string, value: string])[] = [
  ['smallint', '225 - i'],
  ['bigint', '(i - 225) * 40000000000000000'],
  ['numeric', `CASE WHEN i = 1 THEN 'NaN'::numeric ELSE i * 1e30 / 7 END`],
  ['double precision', `CASE i WHEN 1 THEN '-Infinity'::float8 WHEN 2 THEN 'NaN' ELSE i / 3.0 END`],
  ['text', `chr(64 + i % 60) || repeat(E'\\t\\\\N', i % 3) || i`],
  ['text COLLATE "C"', `CASE WHEN i = 5 THEN '' ELSE 'é' || i || 'Z' END`],
  ['text COLLATE "de-x-icu"', `(ARRAY['a', 'Ä', 'z', 'B'])[1 + i % 4] || i`],
  ['varchar(12)', `'x' || i`],
  ['char(8)', `i::text || ' '`],
  ['uuid', 'md5(i::text)::uuid'],
  ['date', `CASE WHEN i = 3 THEN 'infinity'::date ELSE date '2000-01-01' - i * 1000 END`],
  ['timestamptz', `timestamptz '2024-03-31 01:59:59.999999+01' + i * interval '1 microsecond'`],
  ['interval', `i * interval '1 day 1 minute'`],
  ['bytea', `decode(md5(i::text), 'hex')`],
  ['inet', `'10.0.0.0/8'::inet + i`],
  ['int[]', 'ARRAY[i % 7, i]'],
  ['int4range', 'int4range(i, i + 5)'],
  // Their operators are not in pg_catalog; compared as text, these would come in another order.
  ['citext', `(ARRAY['a', 'B', 'c', 'D', '_'])[1 + i % 5] || i`],
  ['ltree', `(ARRAY['a.b', 'B', 'b.a.c'])[1 + i % 3]::ltree || i::text`],
];

onVersions('keys', (version) => {
  test('of every type and collation bound batches of exact size, and every row comes once', async () => {
    const tables = KEYS.map((_, i) => `k${i}`);
    const s = await scene({
      version,
      schema: [
        'CREATE EXTENSION citext',
        'CREATE EXTENSION ltree',
        ...KEYS.map(([type], i) => `CREATE TABLE k${i} (id ${type} PRIMARY KEY, v int)`),
      ],
      rows: [
        ...KEYS.map(
          ([, value], i) => `INSERT INTO k${i} SELECT ${value}, i FROM generate_series(1, 450) AS i`,
        ),
        'ANALYZE',
      ],
    });
    const execution = { ...s.plan.execution, batchRows: 30 };
    expect(await s.load(tables, { execution })).toMatchObject({ rows: 450 * KEYS.length });
    for (const [i, table] of tables.entries()) {
      expect(await s.content('destination', table), KEYS[i]![0]).toEqual(await s.content('source', table));
    }
    const batches = await s.rows(
      'destination',
      'SELECT table_id, count(*) >= 15 AS enough, max(rows) AS most FROM lethe.batch GROUP BY 1 ORDER BY 1',
    );
    expect(batches).toEqual(tables.map((_, i) => ({ table_id: String(i + 1), enough: 't', most: '30' })));
  });

  test('enums, domains, quoted names and a mixed key', async () => {
    const s = await scene({
      version,
      schema: [
        `CREATE TYPE "Mood" AS ENUM ('z', 'a', 'm')`,
        'CREATE DOMAIN positive AS int CHECK (VALUE > 0)',
        'CREATE SCHEMA "we ird"',
        'CREATE EXTENSION citext',
        'CREATE DOMAIN word AS citext CHECK (length(VALUE) < 9)',
        'CREATE TABLE "we ird"."Tab""le" ("Mö od" "Mood", p positive, c char(3), w word, "from" timestamp, v text, PRIMARY KEY ("Mö od", c, w, p))',
      ],
      rows: [
        `INSERT INTO "we ird"."Tab""le" SELECT (ARRAY['z', 'a', 'm'])[1 + i % 3]::"Mood", i, 'x' || i % 2, (ARRAY['a', 'B', '_', 'c'])[1 + i % 4] || i % 100, now(), i FROM generate_series(1, 500) AS i`,
        'ANALYZE',
      ],
      job: 'batchRows: 100',
    });
    const table = s.plan.tables[0]!.source.name;
    expect(await s.load([table], { execution: { ...s.plan.execution, batchRows: 20 } })).toMatchObject({
      rows: 500,
    });
    const name = '"we ird"."Tab""le"';
    expect(await s.content('destination', name)).toEqual(await s.content('source', name));
  });

  test('statistics that know nothing, and a table that grew since, do not matter', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE g (id int PRIMARY KEY) WITH (autovacuum_enabled = off)'],
      rows: ['INSERT INTO g VALUES (1)', 'ANALYZE g', 'INSERT INTO g SELECT generate_series(2, 3000)'],
      job: 'batchRows: 100',
    });
    expect(await s.load(['g'])).toMatchObject({ rows: 3000 });
    const [row] = await s.rows('destination', 'SELECT max(rows) AS most FROM lethe.batch');
    expect(row!.most).toBe('100');
  });

  test('a table and those that inherit from it are read apart', async () => {
    const s = await scene({
      version,
      schema: [
        'CREATE TABLE base (id int PRIMARY KEY, v text)',
        'CREATE TABLE derived (w text, PRIMARY KEY (id)) INHERITS (base)',
      ],
      rows: [`INSERT INTO base VALUES (1, 'b')`, `INSERT INTO derived VALUES (2, 'd', 'w')`],
    });
    await s.load(['base', 'derived']);
    expect(await s.content('destination', 'ONLY base')).toEqual(['(1,b)']);
    expect(await s.content('destination', 'derived')).toEqual(['(2,d,w)']);
  });

  test('columns that changed places by renaming are noticed', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE r (id int PRIMARY KEY, secret text, open text)'],
      rows: [`INSERT INTO r VALUES (1, 'secret', 'open')`],
    });
    for (const [from, to] of [
      ['secret', 'x'],
      ['open', 'secret'],
      ['x', 'open'],
    ]) {
      await query(s.source, `ALTER TABLE r RENAME ${from} TO ${to}`);
    }
    await expect(s.load(['r'])).rejects.toMatchObject({ type: 'SourceChanged' });
    expect(await s.content('destination', 'r')).toEqual([]);
  });

  test('an error of the source while it reads ends the load and writes nothing', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE z (id int PRIMARY KEY, n int, v text)'],
      rows: [
        `INSERT INTO z SELECT i, CASE WHEN i = 400 THEN 0 ELSE i END, repeat('v', 5000) FROM generate_series(1, 500) AS i`,
      ],
      job: 'onFailure: quarantine\ntables: { public.z: { where: "100 / n >= 0" } }',
    });
    await expect(s.load(['z'])).rejects.toMatchObject({ type: 'DatabaseError', details: { code: '22012' } });
    expect(await s.rows('destination', 'SELECT count(*) FROM z')).toEqual([{ count: '0' }]);
    expect(await s.rows('destination', 'SELECT state, error FROM lethe.batch')).toEqual([
      { state: 'failed', error: '22012' },
    ]);
  });

  test('a value of 50 MB passes, kept or transformed', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE big (id int PRIMARY KEY, kept text, hashed text)'],
      rows: [
        `INSERT INTO big VALUES (1, 'a', 'b'), (2, repeat(E'0123456789\\\\\\té', 3500000), repeat('y', 50000000)), (3, NULL, NULL)`,
      ],
      job: 'tables: { public.big: { columns: { hashed: hash } } }',
    });
    expect(await s.load(['big'])).toMatchObject({ rows: 3 });
    const digest = 'SELECT id, md5(kept) AS md5, octet_length(kept) AS bytes FROM big ORDER BY id';
    expect(await s.rows('destination', digest)).toEqual(await s.rows('source', digest));
    const [row] = await s.rows('destination', 'SELECT length(hashed) < 100 AS short FROM big WHERE id = 2');
    expect(row!.short).toBe('t');
  });
});
