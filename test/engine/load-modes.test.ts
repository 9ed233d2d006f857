import pg from 'pg';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { deleteMissing } from '../../postgres/load/keep.js';
import { openSession, query, withTransaction } from '../../postgres/session.js';
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
afterEach(() => {
  vi.restoreAllMocks();
});

/** Everything that is sent as a statement or its parameters while `body` runs: what a server may log. */
async function statementsOf(body: () => Promise<unknown>): Promise<string> {
  const sent: string[] = [];
  const original = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    const [first, params] = args as [string | { text?: string }, unknown];
    sent.push(
      typeof first === 'string' ? first : String((first as { text?: string }).text),
      JSON.stringify(params ?? []),
    );
    return original.apply(this, args) as never;
  });
  await body();
  return sent.join('\n');
}

const SECRETS = {
  schema: [`CREATE TABLE s (tax text PRIMARY KEY, v int)`],
  rows: [
    `INSERT INTO s SELECT 'DE-' || to_char(i, 'FM00000') || E'\\tx\\\\', i FROM generate_series(1, 3000) AS i`,
    'ANALYZE s',
  ],
  job: 'batchRows: 100',
};

onVersions('modes of loading', (version) => {
  test('bounds, which are keys, are in no statement and no parameter', async () => {
    const s = await scene({ version, ...SECRETS });
    const sent = await statementsOf(() => s.load(['s']));
    expect(sent).toContain('COPY (SELECT');
    expect(sent).not.toMatch(/DE-\d/);
    expect(await s.content('destination', 's')).toEqual(await s.content('source', 's'));
    const ledger = await s.rows(
      'destination',
      'SELECT bounds FROM lethe.batch UNION ALL SELECT bounds FROM lethe.partition',
    );
    expect(JSON.stringify(ledger)).not.toMatch(/DE-/);
  });

  test('where no temporary table can be made, bounds come with the connection', async () => {
    const s = await scene({ version, ...SECRETS });
    const role = `reader_${s.sourceDb.name}`;
    for (const text of [
      `CREATE ROLE ${role} LOGIN PASSWORD 'reader'`,
      `GRANT SELECT ON s TO ${role}`,
      `REVOKE TEMPORARY ON DATABASE ${s.sourceDb.name} FROM PUBLIC`,
    ]) {
      await query(s.source, text);
    }
    const url = new URL(s.sourceDb.url);
    url.username = role;
    url.password = 'reader';
    const source = { url: url.href };
    const stop = new AbortController();
    const interrupt = ({ batch }: { batch: number }) => {
      if (batch === 2) stop.abort();
    };
    try {
      await expect(s.load(['s'], { source }, interrupt, stop.signal)).rejects.toMatchObject({
        type: 'Unreachable',
      });
      const sent = await statementsOf(() => s.load(['s'], { source }));
      expect(sent).toContain('current_setting');
      expect(sent).not.toMatch(/DE-\d/);
      expect(await s.content('destination', 's')).toEqual(await s.content('source', 's'));
    } finally {
      await query(s.source, `DROP OWNED BY ${role}`);
      await query(s.source, `DROP ROLE ${role}`);
    }
  });

  test('where, when and semi-joins are evaluated by the source, at the time of the run', async () => {
    const s = await scene({
      version,
      schema: [
        'CREATE TABLE region (id int PRIMARY KEY, name text, opened timestamptz)',
        'CREATE TABLE shop (id int PRIMARY KEY, region_id int REFERENCES region, partner_id int REFERENCES shop, email text, "order" int)',
      ],
      rows: [
        `INSERT INTO region VALUES (1, 'north', '2026-02-28'), (2, 'south', '2026-03-02'), (3, ':run_time', '2026-02-01')`,
        `INSERT INTO shop VALUES (1, 1, NULL, 'a@x.de', 1), (2, 2, NULL, 'b@x.de', 2), (3, 3, 1, 'c@x.de', NULL), (4, NULL, 3, 'd@x.de', 1), (5, 1, 2, 'e@x.de', 2)`,
      ],
      job: `rules:
  - { name: first, match: { column: email }, when: '"order" = 1', apply: { constant: one }, otherwise: { constant: other } }
tables:
  public.region: { where: "opened < :run_time AND name <> 'x:run_time'" }
  public.shop: { orphans: drop }`,
    });
    await s.load(['region', 'shop']);
    expect(await s.rows('destination', 'SELECT id FROM region ORDER BY id')).toEqual([
      { id: '1' },
      { id: '3' },
    ]);
    expect(await s.rows('destination', 'SELECT id, email FROM shop ORDER BY id')).toEqual([
      { id: '1', email: 'one' },
      { id: '3', email: 'other' },
      { id: '4', email: 'one' },
      { id: '5', email: 'other' },
    ]);
  });

  test('a semi-join finds parents as their key compares', async () => {
    const s = await scene({
      version,
      schema: [
        'CREATE EXTENSION citext',
        'CREATE TABLE word (w citext PRIMARY KEY, good boolean)',
        'CREATE TABLE use (id int PRIMARY KEY, w citext REFERENCES word)',
      ],
      rows: [
        `INSERT INTO word VALUES ('Ja', true), ('NEIN', false)`,
        `INSERT INTO use VALUES (1, 'JA'), (2, 'nein'), (3, 'ja')`,
      ],
      job: 'tables: { public.word: { where: good }, public.use: { orphans: drop } }',
    });
    await s.load(['word', 'use']);
    expect(await s.rows('destination', 'SELECT id FROM use ORDER BY id')).toEqual([{ id: '1' }, { id: '3' }]);
  });

  test('a declared-partitioned table is read by its leaves and written through its root', async () => {
    const s = await scene({
      version,
      schema: [
        'CREATE TABLE m (id int, at date, v text, g int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)',
        `CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')`,
        `CREATE TABLE m2 PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')`,
      ],
      rows: [
        `INSERT INTO m (id, at, v) SELECT i, date '2024-01-01' + i % 700, 'v' FROM generate_series(1, 3000) AS i`,
        'ANALYZE m',
      ],
      job: 'batchRows: 200',
    });
    expect(await s.load(['m'])).toMatchObject({ rows: 3000 });
    expect(await s.content('destination', 'm')).toEqual(await s.content('source', 'm'));
  });

  test('an identity column keeps its values', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)'],
      rows: [`INSERT INTO i (v) SELECT 'v' FROM generate_series(1, 10)`, 'DELETE FROM i WHERE id < 5'],
    });
    await s.load(['i']);
    expect(await s.content('destination', 'i')).toEqual(await s.content('source', 'i'));
  });

  test('evidence: row holds a keyed digest of every source row', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE p (id int PRIMARY KEY, email text, v text)'],
      rows: [`INSERT INTO p VALUES (1, 'a@example.com', 'x'), (2, NULL, 'y')`],
      job: 'evidence: row\ntables: { public.p: { columns: { email: email } } }',
    });
    await s.load(['p']);
    const [row] = await s.rows('destination', `SELECT encode(evidence, 'hex') AS evidence FROM lethe.batch`);
    const texts = ['a@example.com\t1\tx', '\\N\t2\ty'].map((text) => Buffer.from(text));
    const tags = jobKeys(s.jobKey).evidence.tags({
      bytes: Buffer.concat(texts),
      offsets: Uint32Array.of(0, texts[0]!.length, texts[0]!.length + texts[1]!.length),
    });
    expect(row!.evidence).toBe(Buffer.from(tags).toString('hex'));
  });

  test('a SQL_ASCII source is read as what the job declares', async () => {
    const s = await scene({
      version,
      schema: ['CREATE TABLE t (id text PRIMARY KEY, v text, w text)'],
      job: 'tables: { public.t: { columns: { w: { mask: 1 } } } }',
    });
    const name = `ascii_${s.sourceDb.name}`;
    await query(s.source, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`);
    const url = new URL(s.sourceDb.url);
    url.pathname = `/${name}`;
    const ascii = await openSession({
      url: url.href,
      role: 'source',
      applicationName: 'a',
      readOnly: false,
      encoding: 'LATIN1',
    });
    await query(ascii, 'CREATE TABLE public.t (id text PRIMARY KEY, v text, w text)');
    await query(
      ascii,
      `INSERT INTO public.t SELECT convert_from('\\xe4', 'SQL_ASCII') || i, convert_from('\\x4dfc6c6c6572', 'SQL_ASCII'), convert_from('\\x5a6feb', 'SQL_ASCII')
       FROM generate_series(1, 9) AS i`,
    );
    await query(ascii, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
    const [snapshot] = await query(ascii, 'SELECT pg_export_snapshot() AS id');
    const [relation] = await query(
      ascii,
      `SELECT 'public.t'::regclass::oid AS oid, pg_relation_filenode('public.t') AS filenode`,
    );
    const { readFingerprint } = await import('../../postgres/catalog/fingerprint.js');
    const plan = s.table('t');
    const moved = {
      ...plan,
      fingerprint: await readFingerprint(ascii, plan.source),
      units: [{ ...plan.units[0]!, oid: Number(relation!.oid), filenode: relation!.filenode! }],
    };
    const { tables } = await s.task(['t']);
    await s.load(['t'], {
      source: { url: url.href, encoding: 'LATIN1' },
      snapshot: { generation: 1, ids: [snapshot!.id!] },
      execution: { ...s.plan.execution, batchRows: 2 },
      tables: [{ ...tables[0]!, plan: moved }],
    });
    await ascii.close();
    const rows = await s.rows('destination', 'SELECT id, v, length(w) AS w FROM t ORDER BY id');
    expect(rows).toEqual(Array.from({ length: 9 }, (_, i) => ({ id: `ä${i + 1}`, v: 'Müller', w: '3' })));
    await query(s.source, `DROP DATABASE ${name} WITH (FORCE)`);
  });
});

onVersions('upsert', (version) => {
  const UPSERT = {
    version,
    mode: 'upsert' as const,
    schema: ['CREATE TABLE c (id int PRIMARY KEY, v text, j json)'],
    rows: [
      `INSERT INTO c (id, v, j) SELECT i, 'new', '{"a": 1}' FROM generate_series(1, 1000) AS i`,
      'ANALYZE c',
    ],
  };

  test('new rows come, changed ones change, equal ones are not touched', async () => {
    const s = await scene({
      ...UPSERT,
      later: [
        `INSERT INTO c (id, v, j) VALUES (5, 'new', '{"a": 1}'), (6, 'old', NULL), (2000, 'only here', NULL)`,
      ],
      job: 'batchRows: 150',
    });
    const before = await s.rows('destination', 'SELECT ctid FROM c WHERE id = 5');
    expect(await s.load(['c'])).toMatchObject({ rows: 1000 });
    expect(
      await s.rows('destination', "SELECT count(*) AS n, count(*) FILTER (WHERE v = 'new') AS new FROM c"),
    ).toEqual([{ n: '1001', new: '1000' }]);
    expect(await s.rows('destination', 'SELECT ctid FROM c WHERE id = 5')).toEqual(before);
    expect(await s.load(['c'])).toMatchObject({ rows: 1000 });
  });

  test('rows that the source no longer has are deleted only when that is asked for', async () => {
    const s = await scene({
      ...UPSERT,
      later: [`INSERT INTO c (id, v) VALUES (1, 'old'), (2000, 'gone'), (2001, 'gone')`],
      destinationSettings: 'deleteMissing: true',
      job: 'batchRows: 150',
    });
    await s.load(['c']);
    expect(await s.rows('destination', 'SELECT count(*) AS n FROM c')).toEqual([{ n: '1002' }]);
    const deleted = await withTransaction(s.destination, () =>
      deleteMissing(s.destination, s.run, s.table('c')),
    );
    expect(deleted).toBe(2);
    expect(await s.content('destination', 'c', 'id')).toEqual(await s.content('source', 'c', 'id'));
    expect(await s.rows('destination', `SELECT relname FROM pg_class WHERE relname LIKE 'keep\\_%'`)).toEqual(
      [],
    );
  });

  test('a row is not missing because its key is spelled otherwise', async () => {
    const s = await scene({
      ...UPSERT,
      schema: [
        'CREATE EXTENSION citext',
        'CREATE TABLE c (id citext, n numeric, v text, PRIMARY KEY (id, n))',
        // Its rows are its own, though they show in the other's.
        'CREATE TABLE heir (PRIMARY KEY (id, n)) INHERITS (c)',
      ],
      rows: [`INSERT INTO c SELECT 'Word ' || i, i, 'new' FROM generate_series(1, 50) AS i`],
      later: [
        `INSERT INTO c VALUES ('WORD 1', 1.0, 'old'), ('gone', 1, 'old')`,
        `INSERT INTO heir VALUES ('heir', 1)`,
      ],
      destinationSettings: 'deleteMissing: true',
    });
    await s.load(['c']);
    await query(s.destination, `SET search_path = ''`);
    const deleted = await withTransaction(s.destination, () =>
      deleteMissing(s.destination, s.run, s.table('c')),
    );
    await query(s.destination, 'SET search_path = public');
    expect(deleted).toBe(1);
    expect(await s.rows('destination', `SELECT count(*) AS n, min(v) AS v FROM ONLY c`)).toEqual([
      { n: '50', v: 'new' },
    ]);
    expect(await s.rows('destination', 'SELECT id FROM heir')).toEqual([{ id: 'heir' }]);
  });

  test('rows that are refused are found here too', async () => {
    const s = await scene({
      ...UPSERT,
      later: [`ALTER TABLE c ADD CHECK (id NOT IN (10, 777))`],
      job: 'onFailure: quarantine',
    });
    expect(await s.load(['c'])).toMatchObject({ rows: 998, quarantined: 2 });
  });
});
