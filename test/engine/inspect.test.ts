import { afterAll, expect, it } from 'vitest';
import type { Pins } from '../../ledger/types.js';
import { countOrphans } from '../../postgres/inspect/constraints.js';
import { insertCheckResult, listCheckResults } from '../../postgres/ledger/checkResults.js';
import { readRun } from '../../postgres/ledger/runs.js';
import { recheck } from '../../quality/recheck.js';
import { settingsOf } from '../../quality/run.js';
import { onVersions } from '../harness/servers.js';
import { inspected, loadedScene, plant, problems } from './inspect-fixture.js';
import { RUN_TIME, type Scene, type SceneOptions, statements } from './load-fixture.js';

const scenes: Scene[] = [];
afterAll(async () => {
  for (const scene of scenes) await scene.end();
});

const SHOP: SceneOptions = {
  // Which row has the largest key must not be left to chance: rows that changed are not compared.
  jobKey: Buffer.alloc(32, 7),
  schema: [
    'CREATE TABLE shop (id int PRIMARY KEY, town text NOT NULL)',
    `CREATE TABLE customer (id int PRIMARY KEY, shop int NOT NULL REFERENCES shop, email text UNIQUE, note text, age int,
       CONSTRAINT grown CHECK (age > 0))`,
    'CREATE TABLE visit (shop int, at timestamptz)',
  ],
  rows: [
    `INSERT INTO shop SELECT i, 'Town ' || i FROM generate_series(1, 20) AS i`,
    `INSERT INTO customer SELECT i, 1 + i % 20, 'person' || i || '@mail.test', 'likes tea', 20 + i % 30
       FROM generate_series(1, 3000) AS i`,
    `INSERT INTO visit SELECT 1 + i % 20, '2026-01-01'::timestamptz + i * interval '1 h' FROM generate_series(1, 500) AS i`,
  ],
  job: `tables:
  public.shop: { columns: { id: permute } }
  public.customer: { columns: { id: permute, email: email } }
  public.visit: { columns: { shop: permute } }
references: ["public.visit.shop -> public.shop.id"]
checks:
  constraints: { rows: all }
  kAnonymity: [{ table: public.customer, columns: [age], k: 50 }]
`,
};

onVersions('looking at the rows of a run', (version) => {
  async function shop(): Promise<Scene> {
    const scene = await loadedScene({ version, ...SHOP });
    scenes.push(scene);
    return scene;
  }

  it('finds nothing in a good one, and each thing that is wrong by its name', async () => {
    const scene = await shop();
    expect(problems((await inspected(scene)).checks)).toEqual([]);

    await plant(
      scene,
      `UPDATE customer SET note = 'likes gin' WHERE ctid IN (SELECT ctid FROM customer LIMIT 3)`,
    );
    expect(problems((await inspected(scene)).checks)).toEqual([
      expect.stringMatching(/^recompute: Of \d+ rows of public\.customer .*, 3 differ in note\./),
    ]);
    await plant(scene, `UPDATE customer SET note = 'likes tea'`);

    await plant(
      scene,
      "UPDATE visit SET at = at + interval '1 min' WHERE ctid IN (SELECT ctid FROM visit LIMIT 2)",
    );
    expect(problems((await inspected(scene)).checks)).toEqual([
      expect.stringMatching(/^recompute: Of 500 rows of public\.visit .* 2 are not in the destination/),
    ]);
    await plant(scene, `UPDATE visit SET at = date_trunc('hour', at)`);

    await plant(scene, `INSERT INTO customer SELECT 0, -7, NULL, NULL, NULL`);
    expect(problems((await inspected(scene)).checks, ['constraints'])).toEqual([
      expect.stringMatching(
        /^constraints: 1 of 3001 rows of public\.customer have no parent, though .*customer_shop_fkey/,
      ),
    ]);
    await plant(scene, 'DELETE FROM customer WHERE id = 0');

    await plant(
      scene,
      `UPDATE customer SET note = 'ask boss@corp.example'`,
      `UPDATE customer SET age = 200 WHERE age = 20`,
    );
    const { checks, inspection } = await inspected(scene);
    expect(problems(checks, ['residual', 'drift'])).toEqual([
      expect.stringMatching(/^residual: \d+ of \d+ values of public\.customer\.note, .* e-mail addresses/),
      expect.stringMatching(/^drift: public\.customer\.note /),
      expect.stringMatching(/^drift: public\.customer\.age /),
    ]);
    expect(JSON.stringify(inspection)).not.toMatch(/boss|corp|likes|person/);

    await plant(scene, `UPDATE customer SET age = 91 WHERE id IN (SELECT id FROM customer LIMIT 4)`);
    expect(problems((await inspected(scene)).checks, ['k-anonymity'])).toEqual([
      expect.stringMatching(/^k-anonymity: 4 rows of public\.customer \(age\) .* the smallest has 4\./),
    ]);
  });

  it('looks up parents of rows from all over a table, small or large', async () => {
    const scene = await shop();
    const orphans = async (rows: number | 'all') => {
      const found = await countOrphans(scene.destination, [{ schema: 'public', name: 'customer' }], rows, 1);
      expect(
        await countOrphans(scene.destination, [{ schema: 'public', name: 'customer' }], rows, 1),
      ).toEqual(found);
      expect(found).toHaveLength(1);
      return found[0]!;
    };
    await plant(
      scene,
      'UPDATE customer SET shop = -7 WHERE id IN (SELECT id FROM customer ORDER BY ctid DESC LIMIT 900)',
    );
    const small = await orphans(200);
    expect(small.looked).toBe(200);
    expect(small.orphans).toBeGreaterThan(20);
    await plant(
      scene,
      'UPDATE customer SET shop = (SELECT min(id) FROM shop)',
      `INSERT INTO customer SELECT -i, -7, NULL, repeat(md5(i::text), 50), 20 FROM generate_series(1, 3000) AS i`,
    );
    const large = await orphans(200);
    expect(large.looked).toBe(200);
    expect(large.orphans).toBeGreaterThan(20);
    expect(await orphans('all')).toMatchObject({ looked: 6000, orphans: 3000 });
  });

  it('keeps the check at the end of a run once, however often it is tried', async () => {
    const scene = await shop();
    const record = { run: scene.run, job: 'once', origin: 'run', checks: [], distributions: [] } as const;
    await insertCheckResult(scene.destination, { ...record, ok: false, seconds: 1 }, 0);
    await insertCheckResult(scene.destination, { ...record, ok: true, seconds: 2 }, 0);
    await insertCheckResult(scene.destination, { ...record, ok: true, seconds: 3 }, 1);
    for (const seconds of [4, 5])
      await insertCheckResult(scene.destination, { ...record, origin: 'validate', ok: true, seconds });
    const kept = await listCheckResults(scene.destination, { job: 'once', limit: 10 });
    expect(kept.map(({ ok, seconds }) => [ok, seconds])).toEqual([
      [true, 5],
      [true, 4],
      [true, 3],
      [true, 2],
    ]);
  });

  it('says what has changed at the source apart from what does not match, and keeps a history', async () => {
    const scene = await shop();
    const { inspection } = await inspected(scene);
    await statements(scene.destination, [
      `INSERT INTO lethe.check_result (run, job, origin, ok, seconds, source_snapshot, checks)
       VALUES ('${scene.run}', 'test', 'run', true, 1, '${inspection.snapshot}', '[]')`,
    ]);
    await statements(scene.source, [
      `UPDATE customer SET note = 'moved' WHERE id <= 10`,
      'DELETE FROM customer WHERE id = 11',
      `INSERT INTO shop VALUES (21, 'New')`,
    ]);
    const again = async () =>
      recheck(scene.destination, {
        row: await readRun(scene.destination, scene.run),
        pins: { plan: scene.plan, source: { url: '' }, runTime: RUN_TIME } as unknown as Pins,
        settings: { ...settingsOf(scene.plan), drift: { severity: 'off', rows: 0, distance: 0 } },
        sourceUrl: scene.sourceDb.url,
        destinationUrl: scene.destinationDb.url,
        jobKey: scene.jobKey,
        report: () => undefined,
        signal: new AbortController().signal,
      });
    const first = await again();
    expect(problems(first)).toEqual([]);
    expect(first.find(({ name }) => name === 'recompute')).toMatchObject({ details: { changed: 11 } });

    await plant(scene, `UPDATE customer SET note = 'wrong' WHERE id = (SELECT max(id) FROM customer)`);
    expect(problems(await again())).toEqual([expect.stringMatching(/^recompute: .* 1 differ in note/)]);
    const history = await listCheckResults(scene.destination, { job: 'test', limit: 10 });
    expect(history.map(({ origin, ok }) => [origin, ok])).toEqual([
      ['validate', false],
      ['validate', true],
      ['run', true],
    ]);
  });
});
