import { randomUUID } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { chainLink } from '../../ledger/chain.js';
import {
  claimBatch,
  failBatch,
  guardBatch,
  readPartition,
  readPartitions,
} from '../../postgres/ledger/batches.js';
import { cutTable } from '../../postgres/load/cut.js';
import { openSession, query } from '../../postgres/session.js';
import { underSnapshot } from '../../postgres/snapshot.js';
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

const PEOPLE = {
  schema: [`CREATE TABLE p (id bigint PRIMARY KEY, name text)`],
  rows: [`INSERT INTO p SELECT i, 'n' || i FROM generate_series(1, 2000) AS i`, 'ANALYZE p'],
  job: 'batchRows: 100\ntables: { public.p: { columns: { id: permute } } }',
};

/** Cuts the table as `cutTable` of an activity does; returns partition ids. */
async function cut(s: Scene): Promise<number[]> {
  const task = await s.task(['p']);
  const [table] = task.tables;
  const source = await openSession({ url: s.sourceDb.url, role: 'source', applicationName: 'cut' });
  const destination = await openSession({
    url: s.destinationDb.url,
    role: 'destination',
    applicationName: 'cut',
  });
  try {
    const { partitions } = await underSnapshot(source, task.snapshot.ids, () =>
      cutTable(
        {
          run: s.run,
          plan: table!.plan,
          epoch: table!.epoch,
          generation: task.snapshot.generation,
          keys: jobKeys(s.jobKey),
          batchRows: 100,
        },
        source,
        destination,
      ),
    );
    return partitions.map(({ partition }) => partition);
  } finally {
    await Promise.all([source.close(), destination.close()]);
  }
}

const expectOnce = async (s: Scene) => {
  expect(await s.rows('destination', 'SELECT count(*) AS n, count(DISTINCT id) AS ids FROM p')).toEqual([
    { n: '2000', ids: '2000' },
  ]);
  expect(
    await s.rows(
      'destination',
      `SELECT sum(rows) AS rows, bool_and(state = 'committed') AS all FROM lethe.batch`,
    ),
  ).toEqual([{ rows: '2000', all: 't' }]);
};

onVersions('batches', (version) => {
  test('cutting twice, also at once, gives the same partitions', async () => {
    const s = await scene({ version, ...PEOPLE });
    const [first, raced] = await Promise.all([cut(s), cut(s)]);
    expect(first!.length).toBeGreaterThan(2);
    expect(raced).toEqual(first);
    expect(await cut(s)).toEqual(first);
    const stored = await readPartitions(s.destination, s.run, 1);
    expect(stored.map(({ partition }) => partition)).toEqual(first);
    expect(stored[1]!.bounds).not.toMatch(/[0-9]{3,}",/);
  });

  test('twins at one partition write each batch once', async () => {
    const s = await scene({ version, ...PEOPLE });
    const partitions = await cut(s);
    const twin = (attempt: number) =>
      s.load(['p'], { work: { kind: 'partitions', partitions }, attempt, staleAfterMs: 60_000 });
    const results = await Promise.allSettled([twin(1), twin(2)]);
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
    await s.load(['p'], { work: { kind: 'partitions', partitions } });
    await expectOnce(s);
  });

  test('a late twin finds its batch committed and leaves the rows alone', async () => {
    const s = await scene({ version, ...PEOPLE });
    const [partition] = await cut(s);
    const id = { run: s.run, partition: partition!, batch: 0 };
    const guard = { staleAfterMs: 60_000, prefix: 'none' };
    const claim = { table: 1, bounds: 'sealed', generation: 1 };
    await claimBatch(s.destination, id, claim, guard);
    await query(s.destination, 'BEGIN');
    expect(await guardBatch(s.destination, id)).toBe(true);
    const late = await openSession({
      url: s.destinationDb.url,
      role: 'destination',
      applicationName: 'late',
    });
    await query(late, 'BEGIN');
    // It has to wait here, before its rows, until it is known what became of the other's.
    const verdict = guardBatch(late, id);
    await query(s.destination, 'COMMIT');
    expect(await verdict).toBe(false);
    await query(late, 'ROLLBACK');
    const again = await claimBatch(late, id, { ...claim, bounds: 'other' }, guard);
    expect(again).toMatchObject({ state: 'committed', bounds: 'sealed', attempt: 1 });
    await failBatch(late, id, '23514');
    expect((await claimBatch(late, id, claim, guard)).state).toBe('committed');
    await late.close();
  });

  test('a failed batch is no committed one, and is done again', async () => {
    const s = await scene({ version, ...PEOPLE });
    const [partition] = await cut(s);
    const id = { run: s.run, partition: partition!, batch: 0 };
    const guard = { staleAfterMs: 60_000, prefix: 'none' };
    await claimBatch(s.destination, id, { table: 1, bounds: 'sealed', generation: 1 }, guard);
    await failBatch(s.destination, id, '53100');
    const again = await claimBatch(s.destination, id, { table: 1, bounds: 'other', generation: 2 }, guard);
    expect(again).toMatchObject({ state: 'failed', bounds: 'sealed', attempt: 2, generation: 2 });
    expect(await guardBatch(s.destination, id)).toBe(true);
  });

  test('a retry goes on after the last committed batch', async () => {
    const s = await scene({ version, ...PEOPLE });
    const partitions = await cut(s);
    const stop = new AbortController();
    const report = ({ batch }: { batch: number }) => {
      if (batch === 2) stop.abort();
    };
    const work = { kind: 'partitions', partitions } as const;
    await expect(s.load(['p'], { work }, report, stop.signal)).rejects.toMatchObject({ type: 'Unreachable' });
    const before = await s.rows(
      'destination',
      `SELECT partition, batch, chain FROM lethe.batch WHERE state = 'committed' ORDER BY 1, 2`,
    );
    expect(before.length).toBeGreaterThan(0);
    await s.load(['p'], { work });
    const after = await s.rows(
      'destination',
      `SELECT partition, batch, chain FROM lethe.batch WHERE state = 'committed' ORDER BY 1, 2`,
    );
    expect(after.slice(0, before.length)).toEqual(before);
    await expectOnce(s);
  });

  test('a frozen attempt is ended, and its batch done by the next', async () => {
    const s = await scene({ version, ...PEOPLE });
    const [partition] = await cut(s);
    const frozen = await openSession({
      url: s.destinationDb.url,
      role: 'destination',
      applicationName: `lethe:${s.run}/${partition}/1`,
    });
    const id = { run: s.run, partition: partition!, batch: 0 };
    // It claimed with bounds of its own; the next must take those.
    const [stored] = await readPartitions(s.destination, s.run, 1);
    expect(stored!.partition).toBe(partition);
    await s.load(['p'], { work: { kind: 'partitions', partitions: [partition!] } });
    await query(
      s.destination,
      `UPDATE lethe.batch SET state = 'claimed' WHERE partition = $1::int AND batch = 0`,
      [partition],
    );
    await query(s.destination, `UPDATE lethe.partition SET done = false WHERE partition = $1::int`, [
      partition,
    ]);
    await query(s.destination, 'DELETE FROM p');
    await query(s.destination, 'DELETE FROM lethe.batch WHERE partition = $1::int AND batch > 0', [
      partition,
    ]);
    await query(frozen, 'BEGIN');
    await guardBatch(frozen, id);
    await s.load(['p'], {
      work: { kind: 'partitions', partitions: [partition!] },
      attempt: 2,
      staleAfterMs: 300,
    });
    await expect(query(frozen, 'COMMIT')).rejects.toMatchObject({ type: 'Unreachable' });
    await frozen.close();
    expect((await readPartition(s.destination, s.run, partition!))?.done).toBe(true);
  });

  test('a run that lost its table writes nothing more', async () => {
    const s = await scene({ version, ...PEOPLE });
    const task = await s.task(['p']);
    const other = randomUUID();
    await s.insertRun(other);
    await s.takeOver(other);
    await expect(s.load(['p'], { tables: task.tables })).rejects.toMatchObject({ type: 'RunSuperseded' });
    expect(await s.rows('destination', 'SELECT count(*) FROM p')).toEqual([{ count: '0' }]);
  });

  test('a table that was rewritten or emptied under the snapshot is noticed, not read as empty', async () => {
    for (const change of [
      'ALTER TABLE p ALTER name TYPE varchar(50)',
      'ALTER TABLE p ALTER id TYPE numeric',
      'TRUNCATE p',
    ]) {
      const s = await scene({ version, ...PEOPLE, job: 'batchRows: 100' });
      const task = await s.task(['p']);
      await query(s.source, change);
      await expect(s.load(['p'], { tables: task.tables })).rejects.toMatchObject({ type: 'SourceChanged' });
      expect(await s.rows('destination', 'SELECT count(*) FROM p')).toEqual([{ count: '0' }]);
    }
  });

  test('without its snapshot a load stops; with a new one a keyed table goes on', async () => {
    const s = await scene({ version, ...PEOPLE });
    const partitions = await cut(s);
    const work = { kind: 'partitions', partitions: partitions.slice(0, 1) } as const;
    await s.load(['p'], { work });
    await s.loseSnapshot();
    await expect(s.load(['p'], { work: { kind: 'partitions', partitions } })).rejects.toMatchObject({
      type: 'SnapshotLost',
    });
    await s.newSnapshot();
    await s.load(['p'], { work: { kind: 'partitions', partitions } });
    await expectOnce(s);
  });

  test('the chain covers what each batch did', async () => {
    const s = await scene({ version, ...PEOPLE });
    await s.load(['p']);
    const rows = await s.rows('destination', 'SELECT * FROM lethe.batch ORDER BY partition, batch');
    const heads = new Map<string, string>();
    for (const row of rows) {
      const link = chainLink(heads.get(row.partition!) ?? '', {
        run: row.run!,
        partition: Number(row.partition),
        batch: Number(row.batch),
        table: Number(row.table_id),
        bounds: row.bounds!,
        generation: Number(row.generation),
        rows: Number(row.rows),
        quarantined: Number(row.quarantined),
        bytes: Number(row.bytes),
        rules: JSON.parse(row.rules!) as Record<string, number>,
        leaks: JSON.parse(row.leaks!) as Record<string, number>,
        sourceDigest: row.source_digest!,
        outputDigest: row.output_digest!,
        evidenceDigest: '',
        committedAt: row.committed_at!,
      });
      expect(row.chain).toBe(link);
      heads.set(row.partition!, link);
    }
    const partitions = await s.rows('destination', 'SELECT partition, head FROM lethe.partition ORDER BY 1');
    expect(partitions.map(({ head }) => head)).toEqual(
      partitions.map(({ partition }) => heads.get(partition!)),
    );
  });
});
