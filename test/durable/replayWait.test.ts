import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { askForReplay, progressOf, type SyncHandle, waitingRun } from '../../workers/runs.js';
import { ask, type Ends, failureOf, jobFile, openStage, runOf, type Stage, until } from './fixture.js';
import {
  BROKEN_RULES,
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
  ends = await openBroken(900, 1_200);
});
afterEach(async () => {
  await ends?.drop();
});

const rules = (wait: string) =>
  `${BROKEN_RULES.replace('{ quarantine: 50 }', `{ quarantine: 50, wait: ${wait} }`)}ledger: { keep: 1 }\n`;

/** Type of what the update failed with. */
async function refused(handle: SyncHandle, input?: object): Promise<string | null | undefined> {
  const asked =
    input === undefined ? handle.executeUpdate('replay') : handle.executeUpdate('replay', { args: [input] });
  const error = await asked.catch((failure: unknown) => failure);
  if (!(error instanceof WorkflowUpdateFailedError)) throw error;
  return error.cause instanceof ApplicationFailure ? error.cause.type : error.cause?.name;
}

async function states(): Promise<(string | null)[]> {
  const rows = await ask(ends.destination, 'SELECT state FROM lethe.run ORDER BY started_at');
  return rows.map(({ state }) => state!);
}

it('a run waits for a replay, and succeeds with the one that leaves nothing in quarantine', async () => {
  const file = jobFile(ends, rules('1h'));
  const handle = await stage.start('crm', { file });
  await until('the run waits', async () => (await progressOf(handle))?.phase === 'waiting', 200_000);
  const run = await runOf(handle);
  expect(await states()).toEqual(['failed']);
  const found = await waitingRun(stage.client, { run, workflowId: handle.workflowId });
  expect(found?.workflowId).toBe(handle.workflowId);
  expect(await refused(handle, { jb: 'crm' })).toBe('JobInvalid');
  expect(await refused(handle)).toBe('RowsQuarantined');
  // As `lethe replay` does it.
  const asked = await askForReplay(stage.client, handle, { job: 'crm', run }, { file });
  expect(asked.workflowId).toBe(`replay:crm:${run}`);
  expect(await replayFailure(asked)).toMatchObject({ type: 'RowsQuarantined' });
  // The run hears of its replay's end a moment after we do.
  await until('it waits again', async () => (await refused(handle, { run: 'ffff' })) === 'JobInvalid');
  const wrong = askForReplay(stage.client, handle, { job: 'crm', run }, { tables: [] });
  await expect(wrong).rejects.toMatchObject({ type: 'JobInvalid' });
  expect((await progressOf(handle))?.phase).toBe('waiting');

  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  const answer = await handle.executeUpdate('replay', { args: [{ file }] });
  expect(answer).toEqual({ run, copied: 7, gone: 0 });
  const { verdict } = await handle.result();
  expect(verdict.ok).toBe(true);
  expect(await states()).toEqual(['complete']);

  // What the ledger keeps: the newest run alone, when it is complete.
  await (await stage.start('crm', { file })).result();
  expect(await states()).toEqual(['complete']);
});

it('the wait may be cancelled: the run stays failed, and is replayed by a workflow of its own', async () => {
  const file = jobFile(ends, rules('1h'));
  const handle = await stage.start('crm', { file });
  await until('the run waits', async () => (await progressOf(handle))?.phase === 'waiting', 200_000);
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(await states()).toEqual(['failed']);
  const run = await runOf(handle);
  expect(await waitingRun(stage.client, { run, workflowId: handle.workflowId })).toBeUndefined();
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  expect(await (await replay(stage, run, { file })).result()).toMatchObject({
    replayed: { copied: 7, gone: 0 },
  });
});

it('when nobody replays it in time, it fails as it would have', async () => {
  const handle = await stage.start('crm', { file: jobFile(ends, rules('1s')) });
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  expect(await states()).toEqual(['failed']);
  expect(await progressOf(handle)).toMatchObject({ phase: 'ended' });
});
