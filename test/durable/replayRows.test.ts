import { afterAll, beforeAll, expect, it } from 'vitest';
import { catalogText } from '../engine/saga-fixture.js';
import { ask, type Ends, failureOf, inside, jobFile, openStage, runOf, type Stage } from './fixture.js';
import {
  audited,
  BROKEN_RULES,
  contents,
  MEND_DESTINATION,
  MEND_SOURCE,
  openBroken,
  replay,
  replayFailure,
} from './replay-fixture.js';

let stage: Stage;
const opened: Ends[] = [];
beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => {
  await stage?.stop();
  for (const ends of opened) await ends.drop();
});

async function broken(people: number, visits: number, key?: string): Promise<Ends> {
  const ends = await openBroken(people, visits, key);
  opened.push(ends);
  return ends;
}

const file = (ends: Ends) => jobFile(ends, BROKEN_RULES);
const catalog = (ends: Ends) => inside(ends.destination, catalogText);

it('seven bad rows among 30,000 are named by reason; one replay after the repair completes the run', async () => {
  const ends = await broken(5_000, 25_000);
  const before = await catalog(ends);
  const handle = await stage.start('crm', { file: file(ends) });
  const failure = await failureOf(handle);
  const run = await runOf(handle);
  expect(failure).toMatchObject({ type: 'RowsQuarantined' });
  expect(failure.message).toContain(`lethe replay ${run}`);
  const reasons = await ask(
    ends.destination,
    'SELECT code, coalesce(constraint_name, column_name) AS about FROM lethe.quarantine ORDER BY 1, 2',
  );
  expect(reasons.map(({ code, about }) => `${code} ${about}`)).toEqual([
    '23503 visit_person_id_fkey',
    '23505 person_badge',
    '23514 mortal',
    '23514 short',
    'transformer account',
    'transformer born',
    'transformer prefs',
  ]);
  expect(await catalog(ends)).toEqual(before);

  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  const mended = await catalog(ends);
  const result = await (await replay(stage, run, { file: file(ends) })).result();
  expect(result).toMatchObject({ run, job: 'crm', replayed: { copied: 7, gone: 0 }, verdict: { ok: true } });
  expect(await catalog(ends)).toEqual(mended);
  const [state] = await ask(ends.destination, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
  expect(state).toEqual({ state: 'complete' });

  const [first, second] = await audited(ends, run);
  expect(first).toMatchObject({ state: 'failed', error: { type: 'RowsQuarantined' } });
  expect(second).toMatchObject({ state: 'complete', quarantined: [], replay: { n: 1, copied: 7, gone: 0 } });
  expect(second!.heads).not.toBe(first!.heads);

  const after = await contents(ends);
  const again = await replayFailure(await replay(stage, run, { file: file(ends) }));
  expect(again).toMatchObject({ type: 'NothingToReplay' });
  expect(await contents(ends)).toEqual(after);

  // The same job, undisturbed, from the mended source.
  const calm = await broken(700, 777, ends.key);
  await ask(calm.destination, MEND_DESTINATION);
  const text = file(ends).text.replace(ends.references.destination, calm.references.destination);
  await (await stage.start('crm', { file: { name: 'job.yaml', text } })).result();
  expect(after).toEqual(await contents(calm));
});
