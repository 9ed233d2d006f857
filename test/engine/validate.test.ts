import { afterAll, expect, test } from 'vitest';
import type { ColumnPlan, TablePlan } from '../../plan/plan.js';
import { takeAway } from '../../postgres/saga/take-away.js';
import { withTransaction } from '../../postgres/session.js';
import { settleReferences, settleTables } from '../../postgres/settle/settle.js';
import { judgeRun } from '../../quality/judge.js';
import { judgeLeaks } from '../../quality/leaks.js';
import { checkRun } from '../../quality/run.js';
import { onVersions } from '../harness/servers.js';
import { Scene, type SceneOptions, statements } from './load-fixture.js';
import { unfenced } from './saga-fixture.js';

const scenes: Scene[] = [];
afterAll(async () => {
  for (const made of scenes) await made.end();
});

async function loaded(options: SceneOptions): Promise<Scene> {
  const scene = await Scene.make(options);
  scenes.push(scene);
  const { destination, plan, run } = scene;
  await withTransaction(destination, () => takeAway(destination, run, plan, { keepIndexesBelow: 0 }));
  await scene.load(plan.tables.map(({ source }) => source.name));
  const settlement = { run, fence: unfenced };
  await settleTables(destination, settlement, plan.tables);
  await settleReferences(destination, settlement, plan.tables);
  return scene;
}

const TWO_TABLES = {
  schema: [
    'CREATE TABLE parent (id int PRIMARY KEY, email text)',
    'CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent)',
    'CREATE INDEX child_parent ON child (parent)',
  ],
  rows: [
    `INSERT INTO parent SELECT i, 'p' || i || '@shop.test' FROM generate_series(1, 50) AS i`,
    'INSERT INTO child SELECT i, i FROM generate_series(1, 50) AS i',
  ],
  job: `tables:
  public.parent: { columns: { id: permute, email: email } }`,
};

onVersions('the checks of a run', (version) => {
  async function failures(scene: Scene): Promise<string[]> {
    const checks = await checkRun(scene.destination, scene.run, scene.plan);
    expect(new Set(checks.map(({ name }) => name))).toEqual(
      new Set(['owner', 'complete', 'rows', 'constraints', 'leaks']),
    );
    return checks.filter(({ ok }) => !ok).map(({ name, message }) => `${name}: ${message}`);
  }

  test('pass for a run that nobody disturbed, and each fails for its own reason', async () => {
    const scene = await loaded({ version, ...TWO_TABLES });
    const { destination, run } = scene;
    expect(await failures(scene)).toEqual([]);

    await statements(destination, ['INSERT INTO parent VALUES (0, NULL)']);
    expect(await failures(scene)).toEqual([
      expect.stringMatching(/^rows: public\.parent holds 51 rows.* 50\./),
    ]);
    await statements(destination, ['DELETE FROM parent WHERE id = 0']);

    await statements(destination, ['DROP INDEX child_parent']);
    expect(await failures(scene)).toEqual([
      expect.stringMatching(/^constraints: public\.child\.child_parent /),
    ]);
    await statements(destination, ['CREATE INDEX child_parent ON child (parent)']);

    await statements(destination, [
      'ALTER TABLE child DROP CONSTRAINT child_parent_fkey',
      'ALTER TABLE child ADD CONSTRAINT child_parent_fkey FOREIGN KEY (parent) REFERENCES parent NOT VALID',
    ]);
    expect(await failures(scene)).toEqual([expect.stringMatching(/^constraints: .*child_parent_fkey /)]);
    await statements(destination, ['ALTER TABLE child VALIDATE CONSTRAINT child_parent_fkey']);

    await statements(destination, [
      `UPDATE lethe.batch SET leaks = '{"email": 1}' WHERE table_id = ${scene.table('parent').id}`,
    ]);
    expect(await failures(scene)).toEqual([
      expect.stringMatching(/^leaks: 1 of 50 values of public\.parent\.email /),
    ]);
    await statements(destination, [`UPDATE lethe.batch SET leaks = '{}'`]);

    await statements(destination, [
      `UPDATE lethe.batch SET state = 'failed' WHERE table_id = ${scene.table('child').id}`,
    ]);
    expect(await failures(scene)).toEqual([
      expect.stringMatching(/^complete: public\.child/),
      expect.stringMatching(/^rows: public\.child/),
    ]);
    await statements(destination, [`UPDATE lethe.batch SET state = 'committed'`]);

    await scene.insertRun('00000000-0000-7000-8000-000000000001');
    await scene.takeOver('00000000-0000-7000-8000-000000000001');
    expect(await failures(scene)).toEqual([
      expect.stringMatching(/^owner: public\.child/),
      expect.stringMatching(/^owner: public\.parent/),
    ]);
    await scene.takeOver(run);
    expect(await failures(scene)).toEqual([]);
  });

  test('a table that was never cut is not complete', async () => {
    const scene = await Scene.make({ version, ...TWO_TABLES });
    scenes.push(scene);
    await scene.load(['parent']);
    expect(await failures(scene)).toEqual([expect.stringMatching(/^complete: public\.child/)]);
  });
});

const column = (name: string, options: Record<string, unknown>, kind: 'int4' | 'text'): ColumnPlan => {
  const type = { kind, name: kind, nullable: true, equality: 'exact' as const };
  return {
    name: 'c',
    destination: 'c',
    type,
    compileType: type,
    branches: [{ rule: 'columns', apply: { name, options } }],
    domain: 'd',
    needs: [],
  } as ColumnPlan;
};

test('a permuted value may stay by chance, a drawn one may not', () => {
  expect(judgeLeaks(column('email', {}, 'text'), 1, 1_000_000).ok).toBe(false);
  expect(judgeLeaks(column('permute', {}, 'int4'), 1, 1_000).ok).toBe(true);
  expect(judgeLeaks(column('permute', {}, 'int4'), 1_000, 1_000).ok).toBe(false);
  expect(judgeLeaks(column('permute', {}, 'int4'), 20_000, 1_000_000).ok).toBe(false);
});

test('an upsert may find rows that are not its own, unless it deletes those', () => {
  const table = { id: 1, destination: { schema: 's', name: 't' }, deleteMissing: false, columns: [] };
  const facts = {
    tables: [
      { table: 1, written: 5, removed: 0, quarantined: 0, found: 7, unfinished: 0, owned: true, leaks: {} },
    ],
    away: [],
    owed: [],
    broken: [],
    taken: 0,
  };
  const failed = (deleteMissing: boolean, mode: 'upsert' | 'replace') =>
    judgeRun({ mode, tables: [{ ...table, deleteMissing } as unknown as TablePlan] }, facts)
      .filter(({ ok }) => !ok)
      .map(({ name }) => name);
  expect(failed(false, 'upsert')).toEqual([]);
  expect(failed(true, 'upsert')).toEqual(['rows']);
  expect(failed(false, 'replace')).toEqual(['rows']);
  facts.tables[0]!.quarantined = 1;
  expect(failed(true, 'upsert')).toEqual([]);
});
