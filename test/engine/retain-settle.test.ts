import { afterAll, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import type { SealingKeys } from '../../anonymize/sealing.js';
import { openRowKey } from '../../postgres/load/seals.js';
import { Source } from '../../postgres/load/source.js';
import { takeAway } from '../../postgres/saga/take-away.js';
import { withTransaction } from '../../postgres/session.js';
import { settleReferences, settleTables } from '../../postgres/settle/settle.js';
import { Revealer } from '../../retention/token/revealer.js';
import { dayKeys, Keyring } from '../../retention/token/ring.js';
import { onVersions } from '../harness/servers.js';
import { RUN_TIME, Scene } from './load-fixture.js';
import { unfenced } from './saga-fixture.js';

const scenes: Scene[] = [];
afterAll(async () => {
  for (const scene of scenes) await scene.end();
});

const DAY = RUN_TIME.slice(0, 10);
const SEALING: SealingKeys = {
  day: DAY,
  policies: {
    ip: {
      ...{ id: 'ip', name: 'ip', window: 30, store: 'main', context: '', expired: '[expired]' },
      ...{ deterministic: false, requireGrade: 'bestEffort' },
    },
  },
  rings: [
    {
      ...{ policy: 'ip', asOf: DAY, first: DAY, gone: [], simulated: true },
      keys: new Map([[DAY, dayKeys(Buffer.alloc(32, 1), 'ip', DAY)]]),
    },
  ],
  contexts: [],
};

onVersions('rows with random tokens', (version) => {
  test('are found again at the source when the destination refuses them, whatever their tokens', async () => {
    const scene = await Scene.make({
      version,
      schema: ['CREATE TABLE t (id int PRIMARY KEY, v text, ip text)'],
      rows: [
        `INSERT INTO t SELECT i, 'v' || i, '10.0.0.' || i FROM generate_series(1, 200) AS i`,
        `UPDATE t SET v = 'same' WHERE id IN (30, 50, 70)`,
      ],
      later: ['CREATE UNIQUE INDEX once ON t (v)'],
      job: 'batchRows: 100\nonFailure: quarantine\nretention: ./retention.yaml\ntables: { public.t: { columns: { ip: { retain: ip } } } }',
    });
    scenes.push(scene);
    const { destination, plan, run } = scene;
    await withTransaction(destination, () => takeAway(destination, run, plan, { keepIndexesBelow: 0 }));
    await scene.load(['t'], { sealing: SEALING });
    const { snapshot } = await scene.task([]);
    const keys = jobKeys(scene.jobKey);
    const removing = {
      ...{ plan, keys, runTime: RUN_TIME },
      openSource: () =>
        Source.open({ url: scene.sourceDb.url, role: 'source', applicationName: 'again' }, snapshot.ids),
    };
    const settlement = { run, fence: unfenced, removing };
    await settleTables(destination, settlement, plan.tables);
    await settleReferences(destination, settlement, plan.tables);

    const lost = await scene.rows('destination', 'SELECT key, code FROM lethe.quarantine');
    const owner = { run, table: scene.table('t').id };
    expect(lost.map(({ key, code }) => [openRowKey(keys, owner, key!)[0], code]).sort()).toEqual([
      ['50', '23505'],
      ['70', '23505'],
    ]);
    const there = await scene.rows('destination', 'SELECT id, ip FROM t ORDER BY id');
    expect(there).toHaveLength(198);
    const opened = new Revealer(new Keyring(SEALING.rings)).openAll(there.map(({ ip }) => ip!));
    expect(opened.map(({ text }) => text)).toEqual(there.map(({ id }) => `10.0.0.${id}`));
  });

  test('of a column that is too short at the end go to quarantine, never cut and never plain', async () => {
    const scene = await Scene.make({
      version,
      schema: ['CREATE TABLE t (id int PRIMARY KEY, ip text)'],
      destination: ['ALTER TABLE t ALTER COLUMN ip TYPE varchar(80)'],
      rows: [`INSERT INTO t VALUES (1, '10.0.0.1'), (2, repeat('long', 20)), (3, NULL)`],
      job: 'onFailure: quarantine\nretention: ./retention.yaml\ntables: { public.t: { columns: { ip: { retain: ip } } } }',
    });
    scenes.push(scene);
    expect(await scene.load(['t'], { sealing: SEALING })).toMatchObject({ rows: 2, quarantined: 1 });
    const there = await scene.rows('destination', 'SELECT id, left(ip, 13) AS ip FROM t ORDER BY id');
    expect(there).toEqual([
      { id: '1', ip: `lt1.ip${DAY.slice(2).replaceAll('-', '')}.` },
      { id: '3', ip: null },
    ]);
  });
});
