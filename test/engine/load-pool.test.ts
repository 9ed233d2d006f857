import { afterAll, afterEach, expect, test } from 'vitest';
import type { LoadProgress } from '../../postgres/load/task.js';
import { query } from '../../postgres/session.js';
import { createPool, type Pool } from '../../workers/pool.js';
import { onVersions } from '../harness/servers.js';
import { Scene } from './load-fixture.js';

const scenes: Scene[] = [];
const pools: Pool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});
afterAll(async () => {
  for (const made of scenes) await made.end();
});
const pool = (threads = 2) => {
  const made = createPool({ threads });
  pools.push(made);
  return made;
};
const never = new AbortController().signal;

onVersions('loading in threads', (version) => {
  const wide = async () => {
    const made = await Scene.make({
      version,
      schema: ['CREATE TABLE w (id int PRIMARY KEY, email text, v text)'],
      rows: [
        `INSERT INTO w SELECT i, 'u' || i || '@example.com', repeat('x', 1000) FROM generate_series(1, 20000) AS i`,
        'ANALYZE w',
      ],
      job: 'batchRows: 4000\ntables: { public.w: { columns: { id: permute, email: email } } }',
    });
    scenes.push(made);
    return made;
  };

  test('several tasks at once tell their progress and return their counts', async () => {
    const [a, b] = [await wide(), await wide()];
    const seen: LoadProgress[] = [];
    const threads = pool();
    const results = await Promise.all([
      threads.load(await a.task(['w']), (progress) => seen.push(progress), never),
      threads.load(await b.task(['w']), (progress) => seen.push(progress), never),
    ]);
    expect(results.map(({ rows }) => rows)).toEqual([20_000, 20_000]);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.every(({ rows, bytes }) => rows > 0 && bytes > 0)).toBe(true);
    expect(await a.rows('destination', 'SELECT count(*) FROM w')).toEqual([{ count: '20000' }]);
  });

  test('a failure keeps its type, its message and its particulars on the way', async () => {
    const s = await wide();
    const task = await s.task(['w']);
    const refused = { ...task, destination: { url: task.destination.url.replace(/:[^:@/]+@/, ':wrong@') } };
    await expect(pool().load(refused, () => {}, never)).rejects.toMatchObject({
      type: 'AuthenticationFailed',
    });
    await s.loseSnapshot();
    await expect(pool().load(task, () => {}, never)).rejects.toMatchObject({
      name: 'LetheError',
      type: 'SnapshotLost',
    });
  });

  test('an abort leaves no session and nothing half-written, and a lost backend is something to retry', async () => {
    const s = await wide();
    const threads = pool(1);
    const stop = new AbortController();
    const first = threads.load(await s.task(['w']), () => stop.abort(), stop.signal);
    await expect(first).rejects.toMatchObject({ type: 'RunEnded' });
    const sessions = `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lethe:%' AND datname = current_database()`;
    await expect.poll(() => s.rows('destination', sessions)).toEqual([{ count: '0' }]);

    let struck = false;
    const strike = () => {
      if (struck) return;
      struck = true;
      void query(
        s.destination,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lethe:%' AND datname = current_database()`,
      );
    };
    await expect(threads.load(await s.task(['w']), strike, never)).rejects.toMatchObject({
      type: 'Unreachable',
    });
    expect(await threads.load(await s.task(['w']), () => {}, never)).toMatchObject({ rows: 20_000 });
    expect(await s.rows('destination', 'SELECT count(*), count(DISTINCT id) AS ids FROM w')).toEqual([
      { count: '20000', ids: '20000' },
    ]);
  });
});
