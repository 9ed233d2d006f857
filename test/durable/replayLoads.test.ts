import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { catalogText } from '../engine/saga-fixture.js';
import {
  ask,
  type Ends,
  failureOf,
  inside,
  jobFile,
  openStage,
  runOf,
  type Stage,
  until,
} from './fixture.js';
import {
  BROKEN_RULES,
  contents,
  MEND_DESTINATION,
  MEND_SOURCE,
  openBroken,
  replay,
  replayFailure,
} from './replay-fixture.js';

let stage: Stage;
let ends: Ends;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => {
  await stage?.stop();
});
beforeEach(async () => {
  ends = await openBroken(3_000, 6_000);
});
afterEach(async () => {
  await ends?.drop();
});

const rules = (more: string) =>
  BROKEN_RULES.replace('onFailure: { quarantine: 50 }', `batchRows: 1000\n${more}`);
const file = (more = 'onFailure: { quarantine: 50 }') => ({ file: jobFile(ends, rules(more)) });
const catalog = () => inside(ends.destination, catalogText);

async function mend(): Promise<void> {
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
}

/** The copy is that of a new run of the same job. */
async function expectWhole(run: string): Promise<void> {
  const [state] = await ask(ends.destination, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
  expect(state).toEqual({ state: 'complete' });
  const found = await contents(ends);
  await (await stage.start('crm', file())).result();
  expect(found).toEqual(await contents(ends));
}

it('a run that stopped at the limit is finished: what it had not loaded whole is loaded', async () => {
  const handle = await stage.start('crm', file('onFailure: { quarantine: 2 }'));
  expect(await failureOf(handle)).toMatchObject({ type: 'QuarantineLimit' });
  const run = await runOf(handle);
  await mend();
  const before = await catalog();
  const { verdict } = await (await replay(stage, run, file('onFailure: { quarantine: 2 }'))).result();
  expect(verdict.ok).toBe(true);
  expect(await catalog()).toEqual(before);
  await expectWhole(run);
});

it('one that stops at the limit again may be tried again, with a limit that the job file raises', async () => {
  const handle = await stage.start('crm', file('onFailure: fail'));
  expect(await failureOf(handle)).toMatchObject({ type: 'QuarantineLimit' });
  const run = await runOf(handle);
  const again = await replayFailure(await replay(stage, run, file('onFailure: fail')));
  expect(again).toMatchObject({ type: 'QuarantineLimit' });
  const raised = await replayFailure(await replay(stage, run, file()));
  expect(raised).toMatchObject({ type: 'RowsQuarantined' });
  await mend();
  const { replayed } = await (await replay(stage, run, file())).result();
  expect(replayed.copied).toBe(7);
  await expectWhole(run);
});

it('a run whose workflow was terminated goes on from its last batches, over several legs', async () => {
  await mend();
  // So many that it is still under way when it is terminated.
  await ask(
    ends.source,
    `INSERT INTO public.visit SELECT i, 1 + i % 5, 'note ' || md5(i::text) FROM generate_series(6001, 60000) i`,
  );
  const before = await catalog();
  const handle = await stage.start('crm', file());
  const run = await runOf(handle);
  const done = () =>
    ask(ends.destination, `SELECT count(*) AS n FROM lethe.batch WHERE run = $1 AND state = 'committed'`, [
      run,
    ]).then(
      ([row]) => Number(row?.n),
      () => 0,
    );
  await until('some batches are there', async () => (await done()) > 5);
  await handle.terminate();
  const tuning = { historyLimit: 25 };
  const replayed = await replay(stage, run, { ...file(), tuning });
  const leg = async () => (await replayed.describe()).runId;
  const first = await leg();
  expect((await replayed.result()).verdict.ok).toBe(true);
  expect(await leg()).not.toBe(first);
  expect(await catalog()).toEqual(before);
  await expectWhole(run);
});

it('a table without a key is read again whole', async () => {
  for (const database of [ends.source, ends.destination]) {
    await ask(database, 'CREATE TABLE public.note (body text, person_id bigint REFERENCES public.person)');
  }
  await ask(
    ends.source,
    `INSERT INTO public.note SELECT 'note ' || md5(i::text), i FROM generate_series(1, 2500) i`,
  );
  await ask(
    ends.destination,
    `ALTER TABLE public.note ADD CONSTRAINT seen CHECK (body <> 'note ' || md5('9'))`,
  );
  const keyless = {
    file: jobFile(
      ends,
      `${rules('onFailure: { quarantine: 50 }')}  public.note: { columns: { body: keep } }\n`,
    ),
  };
  const handle = await stage.start('crm', keyless);
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  const run = await runOf(handle);
  await mend();
  await ask(ends.destination, 'ALTER TABLE public.note DROP CONSTRAINT seen');
  const { replayed, verdict } = await (await replay(stage, run, keyless)).result();
  expect(verdict.ok).toBe(true);
  // Those of the other tables; the notes were loaded.
  expect(replayed.copied).toBe(7);
  expect(await ask(ends.destination, 'SELECT count(*) AS n FROM public.note')).toEqual([{ n: '2500' }]);
});
