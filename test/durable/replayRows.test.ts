import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, expect, it } from 'vitest';
import {
  askForReplay,
  progressOf,
  type ReplayHandle,
  type SyncHandle,
  waitingRun,
} from '../../workers/runs.js';
import { ask, failureOf, jobFile, runOf, until } from './fixture.js';
import {
  audited,
  BROKEN_RULES,
  contents,
  MEND_DESTINATION,
  MEND_SOURCE,
  replayFailure,
  useBrokenStage,
} from './replay-fixture.js';

const jobsFolder = mkdtempSync(join(tmpdir(), 'lethe-replay-jobs-'));
const at = useBrokenStage(() => ({ jobsFolder }));
afterAll(() => rmSync(jobsFolder, { recursive: true, force: true }));

/** As a person starts it in the Temporal UI: any id, any input. */
function start(...args: unknown[]): Promise<ReplayHandle> {
  const { client, taskQueue } = at.stage;
  const workflowId = `by-hand-${randomUUID()}`;
  return client.workflow.start('replayFailedBatches', { taskQueue, workflowId, args });
}

const waiting = (time: string) =>
  BROKEN_RULES.replace('{ quarantine: 50 }', `{ quarantine: 50, wait: ${time} }`);

it('the input of replayFailedBatches is refused with every mistake at once', async () => {
  for (const wrong of [['x'], 'x', 7]) {
    const { type, message } = await replayFailure(await start(wrong));
    expect(type).toBe('JobInvalid');
    expect(message).toContain('one JSON object such as {"run": "01a20660"}');
  }
  const { type, message } = await replayFailure(
    await start({ run: 'last!', tables: [], batches: ['1-2'], job: 3, runn: 'x' }),
  );
  expect(type).toBe('JobInvalid');
  for (const part of ['"run" must be the id', '"tables"', '"12/0"', '"job" must be', '"runn"'])
    expect(message).toContain(part);
});

it('a run is replayed when it has failed, and at no other time', async () => {
  const by = await at.open();
  const { ends } = by;
  writeFileSync(join(jobsFolder, 'crm.yaml'), jobFile(ends, BROKEN_RULES).text);
  for (const args of [[], [{}]]) {
    const { type, message } = await replayFailure(await start(...args));
    expect(type).toBe('JobInvalid');
    expect(message).toMatch(/No run was named\. Start replayFailedBatches with .*No failed run is known/);
  }
  const unknown = await replayFailure(await start({ run: randomUUID() }));
  expect(unknown).toMatchObject({ type: 'UnknownRun' });
  const job = await replayFailure(await start({ run: randomUUID(), job: 'crn' }));
  expect(job).toMatchObject({ type: 'UnknownJob' });

  const first = await at.stage.start('crm', { job: 'crm' });
  await first.signal('pause');
  const run = await runOf(first);
  await until('the run is open', async () => (await by.states(run).catch(() => ['none']))[0] === 'loading');
  const running = await by.refused(run, {});
  expect(running).toMatchObject({ type: 'DestinationBusy' });
  expect(running.message).toContain(`lethe cancel ${run}`);
  await first.signal('resume');
  expect(await failureOf(first)).toMatchObject({ type: 'RowsQuarantined' });
  const listed = await replayFailure(await start({}));
  expect(listed.message).toContain(`{"run": "${run}"}`);
  expect(listed.message).toContain(`Failed runs: ${run} of crm`);

  const name = ends.references.key.replace('env:', '');
  process.env[name] = randomBytes(32).toString('base64');
  const keyless = await replayFailure(await start({ run, tuning: { attempts: 2 } }));
  process.env[name] = ends.key;
  expect(keyless).toMatchObject({ type: 'PinMismatch' });
  expect(keyless.message).toContain('the job key');
  expect(await by.states(run)).toEqual(['failed']);

  const second = await at.stage.start('crm', { job: 'crm' });
  expect(await failureOf(second)).toMatchObject({ type: 'RowsQuarantined' });
  const superseded = await replayFailure(await start({ run }));
  expect(superseded).toMatchObject({ type: 'RunSuperseded' });
  expect(superseded.message).toContain('lethe runs');

  await by.mend();
  const later = await runOf(second);
  // So much of the id as tells it from the other run's.
  const { replayed } = await (await start({ run: later.slice(0, 13) })).result();
  expect(replayed.copied).toBe(7);
  expect(await replayFailure(await start({ run: later }))).toMatchObject({ type: 'NothingToReplay' });

  const third = await at.stage.start('crm', { job: 'crm' });
  await third.signal('pause');
  await until('the run loads', async () => (await progressOf(third))?.phase === 'loading');
  await third.cancel();
  await expect(third.result()).rejects.toThrow();
  const cancelled = await replayFailure(await start({ run: await runOf(third) }));
  expect(cancelled).toMatchObject({ type: 'RunEnded' });
  expect(cancelled.message).toContain('was cancelled');
});

it('seven bad rows among 30,000 are named by reason; one replay after the repair completes the run', async () => {
  const by = await at.open(5_000, 25_000);
  const before = await by.catalog();
  const handle = await by.start();
  const failure = await failureOf(handle);
  const run = await runOf(handle);
  expect(failure).toMatchObject({ type: 'RowsQuarantined' });
  expect(failure.message).toContain(`lethe replay ${run}`);
  expect(await by.left()).toEqual([
    '23503 visit_person_id_fkey',
    '23505 person_badge',
    '23514 mortal',
    '23514 short',
    'transformer account',
    'transformer born',
    'transformer prefs',
  ]);
  expect(await by.catalog()).toEqual(before);

  await by.mend();
  const mended = await by.catalog();
  const result = await (await by.replay(run)).result();
  expect(result).toMatchObject({ run, job: 'crm', replayed: { copied: 7, gone: 0 }, verdict: { ok: true } });
  expect(await by.catalog()).toEqual(mended);
  expect(await by.states(run)).toEqual(['complete']);
  const [first, second] = await audited(by.ends, run);
  expect(first).toMatchObject({ state: 'failed', error: { type: 'RowsQuarantined' } });
  expect(second).toMatchObject({ state: 'complete', quarantined: [], replay: { n: 1, copied: 7, gone: 0 } });
  expect(second!.heads).not.toBe(first!.heads);

  const after = await contents(by.ends);
  expect(await by.refused(run)).toMatchObject({ type: 'NothingToReplay' });
  expect(await contents(by.ends)).toEqual(after);

  // The same job, undisturbed, from the mended source.
  const calm = await at.open(700, 777);
  await ask(calm.ends.destination, MEND_DESTINATION);
  const text = by.file().file.text.replace(by.ends.references.destination, calm.ends.references.destination);
  await (await at.stage.start('crm', { file: { name: 'job.yaml', text } })).result();
  expect(after).toEqual(await contents(calm.ends));
});

it('a run that nobody replays in time fails; what is not mended or not chosen stays until nothing is left', async () => {
  const by = await at.open();
  // Each bad person is in a batch of its own.
  const rules = `batchRows: 100\n${waiting('1s')}`;
  const handle = await by.start(rules);
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  expect(await by.states()).toEqual(['failed']);
  expect(await progressOf(handle)).toMatchObject({ phase: 'ended' });
  const run = await runOf(handle);
  const input = by.file(rules);
  const unknown = await by.refused(run, { ...input, tables: ['public.vist'] });
  expect(unknown).toMatchObject({ type: 'JobInvalid' });
  expect(unknown.message).toContain('did you mean "public.visit"?');
  expect(await by.refused(run, { ...input, batches: ['99/0'] })).toMatchObject({ type: 'JobInvalid' });

  const [batch] = await ask(
    by.ends.destination,
    `SELECT partition || '/' || batch AS id FROM lethe.quarantine WHERE column_name = 'account'`,
  );
  await ask(by.ends.source, MEND_SOURCE);
  const chosen = await by.refused(run, { ...input, batches: [batch!.id!] });
  expect(chosen.type).toBe('RowsQuarantined');
  expect(await by.left()).toEqual([
    '23503 visit_person_id_fkey',
    '23505 person_badge',
    '23514 mortal',
    '23514 short',
    'transformer born',
    'transformer prefs',
  ]);
  const visit = await by.refused(run, { ...input, tables: ['public.visit'] });
  expect(visit.type).toBe('RowsQuarantined');
  expect(await by.left()).toHaveLength(6);

  const all = await by.refused(run, input);
  expect(all.type).toBe('RowsQuarantined');
  expect(await by.left()).toEqual(['23514 mortal']);
  const before = await contents(by.ends);
  const again = await by.refused(run, input);
  expect(again.message).toContain('public.person: 1 × Refused by the destination: SQLSTATE 23514');
  expect(await contents(by.ends)).toEqual(before);

  await ask(by.ends.destination, MEND_DESTINATION);
  const last = await (await by.replay(run, input)).result();
  expect(last.replayed).toEqual({ copied: 1, gone: 0 });
  const outcomes = await ask(by.ends.destination, 'SELECT outcome FROM lethe.quarantine');
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(Array(7).fill('copied'));
  const counts =
    'SELECT (SELECT count(*) FROM public.person) AS person, (SELECT count(*) FROM public.visit) AS visit';
  expect(await ask(by.ends.destination, counts)).toEqual([{ person: '900', visit: '1200' }]);
});

/** Type of what the update failed with. */
async function refusedUpdate(handle: SyncHandle, input?: object): Promise<string | null | undefined> {
  const asked =
    input === undefined ? handle.executeUpdate('replay') : handle.executeUpdate('replay', { args: [input] });
  const error = await asked.catch((failure: unknown) => failure);
  if (!(error instanceof WorkflowUpdateFailedError)) throw error;
  return error.cause instanceof ApplicationFailure ? error.cause.type : error.cause?.name;
}

const untilWaiting = (handle: SyncHandle) =>
  until('the run waits', async () => (await progressOf(handle))?.phase === 'waiting', 200_000);

it('a run waits for a replay, and succeeds with the one that leaves nothing in quarantine', async () => {
  const by = await at.open();
  const { client } = at.stage;
  const { file } = by.file(`${waiting('1h')}ledger: { keep: 1 }\n`);
  const handle = await at.stage.start('crm', { file });
  await untilWaiting(handle);
  const run = await runOf(handle);
  expect(await by.states()).toEqual(['failed']);
  const found = await waitingRun(client, { run, workflowId: handle.workflowId });
  expect(found?.workflowId).toBe(handle.workflowId);
  expect(await refusedUpdate(handle, { jb: 'crm' })).toBe('JobInvalid');
  expect(await refusedUpdate(handle)).toBe('RowsQuarantined');
  // As `lethe replay` does it.
  const asked = await askForReplay(client, handle, { job: 'crm', run }, { file });
  expect(asked.workflowId).toBe(`replay:crm:${run}`);
  expect(await replayFailure(asked)).toMatchObject({ type: 'RowsQuarantined' });
  // The run hears of its replay's end a moment after we do.
  await until('it waits again', async () => (await refusedUpdate(handle, { run: 'ffff' })) === 'JobInvalid');
  const wrong = askForReplay(client, handle, { job: 'crm', run }, { tables: [] });
  await expect(wrong).rejects.toMatchObject({ type: 'JobInvalid' });
  expect((await progressOf(handle))?.phase).toBe('waiting');

  await by.mend();
  const answer = await handle.executeUpdate('replay', { args: [{ file }] });
  expect(answer).toEqual({ run, copied: 7, gone: 0 });
  const { verdict } = await handle.result();
  expect(verdict.ok).toBe(true);
  expect(await by.states()).toEqual(['complete']);

  // What the ledger keeps: the newest run alone, when it is complete.
  await (await at.stage.start('crm', { file })).result();
  expect(await by.states()).toEqual(['complete']);
});

it('a cancelled wait leaves a failed run, replayed by a workflow of its own, that closes rows which are gone', async () => {
  const by = await at.open();
  const handle = await by.start(waiting('1h'));
  await untilWaiting(handle);
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(await by.states()).toEqual(['failed']);
  const run = await runOf(handle);
  expect(await waitingRun(at.stage.client, { run, workflowId: handle.workflowId })).toBeUndefined();
  await by.mend();
  await ask(by.ends.source, 'DELETE FROM public.visit WHERE person_id = 200');
  await ask(by.ends.source, 'DELETE FROM public.person WHERE id IN (200, 300)');
  const { replayed, verdict } = await (await by.replay(run, by.file(waiting('1h')))).result();
  expect(replayed).toEqual({ copied: 4, gone: 3 });
  expect(verdict.ok).toBe(true);
  const outcomes = await ask(by.ends.destination, 'SELECT outcome FROM lethe.quarantine ORDER BY outcome');
  expect(outcomes.map(({ outcome }) => outcome)).toEqual([
    ...Array(4).fill('copied'),
    ...Array(3).fill('gone'),
  ]);
});
