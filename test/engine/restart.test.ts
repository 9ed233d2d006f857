import { afterAll, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { cutTable } from '../../postgres/load/cut.js';
import { openSession, query } from '../../postgres/session.js';
import { underSnapshot } from '../../postgres/snapshot.js';
import { onVersions } from '../harness/servers.js';
import { Scene } from './load-fixture.js';

const scenes: Scene[] = [];
afterAll(async () => {
  for (const scene of scenes) await scene.end();
});

/** Forty rows of four to a page, in a table that nothing identifies them by. */
const OPTIONS = {
  schema: ['CREATE TABLE h (n int NOT NULL, pad text NOT NULL)'],
  rows: [`INSERT INTO h SELECT i, repeat('x', 1900) FROM generate_series(1, 40) AS i`, 'ANALYZE'],
};

/** Cuts the table as an activity does; its partitions that are not done. */
async function cut(s: Scene): Promise<number[]> {
  const task = await s.task(['h']);
  const [table] = task.tables;
  const open = (url: string, role: 'source' | 'destination') =>
    openSession({ url, role, applicationName: 'cut' });
  const source = await open(s.sourceDb.url, 'source');
  const destination = await open(s.destinationDb.url, 'destination');
  const { generation } = task.snapshot;
  try {
    const { partitions } = await underSnapshot(source, task.snapshot.ids, () =>
      cutTable(
        { run: s.run, ...table!, generation, keys: jobKeys(s.jobKey), batchRows: 5 },
        source,
        destination,
      ),
    );
    return partitions.filter(({ done }) => !done).map(({ partition }) => partition);
  } finally {
    await Promise.all([source.close(), destination.close()]);
  }
}

const loadPartition = (s: Scene, partition: number) =>
  s.load(['h'], {
    work: { kind: 'partitions', partitions: [partition] },
    execution: { ...s.plan.execution, batchRows: 5 },
  });

onVersions('a table without a key whose snapshot is lost', (version) => {
  /** The first partition is loaded; then one of its rows moves behind the others, and the snapshot is lost. */
  async function halfLoaded(): Promise<{ s: Scene; left: number[] }> {
    const s = await Scene.make({ version, ...OPTIONS });
    scenes.push(s);
    const [first, ...left] = await cut(s);
    expect(left.length).toBeGreaterThan(0);
    await loadPartition(s, first!);
    await query(s.source, `UPDATE h SET pad = pad || 'y' WHERE n = 1`);
    await s.newSnapshot();
    return { s, left };
  }
  const expectWhole = async (s: Scene) => {
    expect(await s.content('destination', 'h')).toEqual(await s.content('source', 'h'));
    expect(
      await s.rows('destination', 'SELECT sum(rows) AS rows, min(generation) AS first FROM lethe.batch'),
    ).toEqual([{ rows: '40', first: '2' }]);
  };

  test('does not go on with its partitions, and is cut and read anew', async () => {
    const { s, left } = await halfLoaded();
    for (const partition of left) {
      await expect(loadPartition(s, partition)).rejects.toMatchObject({ type: 'TableRestarts' });
    }
    const stale = await s.task(['h'], { work: { kind: 'partitions', partitions: [left[0]!] } });
    const anew = await cut(s);
    expect(anew.filter((partition) => left.includes(partition))).toEqual([]);
    expect(await s.rows('destination', 'SELECT FROM h')).toEqual([]);
    for (const partition of anew) await loadPartition(s, partition);
    await expectWhole(s);
    // A writer of before has neither the epoch nor a partition.
    await expect(s.load(['h'], stale)).rejects.toMatchObject({ type: 'Internal' });
    expect(await cut(s)).toEqual([]);
    await expectWhole(s);
  });

  test('is read anew together with other small tables', async () => {
    const { s } = await halfLoaded();
    expect(await s.load(['h'])).toMatchObject({ rows: 40 });
    await expectWhole(s);
    await s.newSnapshot();
    expect(await s.load(['h'])).toMatchObject({ rows: 40 });
    await expectWhole(s);
  });
});
