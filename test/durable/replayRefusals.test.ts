import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { progressOf, type ReplayHandle } from '../../workers/runs.js';
import { ask, type Ends, failureOf, jobFile, openStage, runOf, type Stage, until } from './fixture.js';
import {
  BROKEN_RULES,
  MEND_DESTINATION,
  MEND_SOURCE,
  openBroken,
  replay,
  replayFailure,
} from './replay-fixture.js';

let folder: string;
let stage: Stage;
let ends: Ends;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lethe-replay-jobs-'));
  stage = await openStage({ jobsFolder: folder });
  ends = await openBroken(750, 800);
  writeFileSync(join(folder, 'crm.yaml'), jobFile(ends, BROKEN_RULES).text);
});
afterAll(async () => {
  await stage?.stop();
  await ends?.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** As a person starts it in the Temporal UI: any id, any input. */
function start(...args: unknown[]): Promise<ReplayHandle> {
  const workflowId = `by-hand-${randomUUID()}`;
  return stage.client.workflow.start('replayFailedBatches', { taskQueue: stage.taskQueue, workflowId, args });
}

describe('the input of replayFailedBatches', () => {
  it('is refused with every mistake at once', async () => {
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

  it('names a run that is there', async () => {
    for (const args of [[], [{}]]) {
      const { type, message } = await replayFailure(await start(...args));
      expect(type).toBe('JobInvalid');
      expect(message).toMatch(/No run was named\. Start replayFailedBatches with .*No failed run is known/);
    }
    const unknown = await replayFailure(await start({ run: randomUUID() }));
    expect(unknown).toMatchObject({ type: 'UnknownRun' });
    const job = await replayFailure(await start({ run: randomUUID(), job: 'crn' }));
    expect(job).toMatchObject({ type: 'UnknownJob' });
  });
});

describe('a run', () => {
  it('is replayed when it has failed, and at no other time', async () => {
    const handle = await stage.start('crm', { job: 'crm' });
    await handle.signal('pause');
    const run = await runOf(handle);
    await until('the run is open', async () => {
      const rows = await ask(ends.destination, `SELECT FROM lethe.run WHERE run = $1 AND state = 'loading'`, [
        run,
      ]).catch(() => []);
      return rows.length > 0;
    });
    const running = await replayFailure(await replay(stage, run));
    expect(running).toMatchObject({ type: 'DestinationBusy' });
    expect(running.message).toContain(`lethe cancel ${run}`);
    await handle.signal('resume');
    expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });

    const listed = await replayFailure(await start({}));
    expect(listed.message).toContain(`{"run": "${run}"}`);
    expect(listed.message).toContain(`Failed runs: ${run} of crm`);

    const name = ends.references.key.replace('env:', '');
    process.env[name] = randomBytes(32).toString('base64');
    const keyless = await replayFailure(await start({ run, tuning: { attempts: 2 } }));
    process.env[name] = ends.key;
    expect(keyless).toMatchObject({ type: 'PinMismatch' });
    expect(keyless.message).toContain('the job key');
    const [state] = await ask(ends.destination, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
    expect(state).toEqual({ state: 'failed' });

    await ask(ends.source, MEND_SOURCE);
    await ask(ends.destination, MEND_DESTINATION);
    const { replayed } = await (await start({ run: run.slice(0, 13) })).result();
    expect(replayed.copied).toBe(7);
    const clean = await replayFailure(await start({ run }));
    expect(clean).toMatchObject({ type: 'NothingToReplay' });
  });

  it('whose tables a later run has taken over, or that was cancelled, is refused', async () => {
    await ask(ends.source, `UPDATE public.person SET account = 'none' WHERE id = 7`);
    const first = await stage.start('crm', { job: 'crm' });
    expect(await failureOf(first)).toMatchObject({ type: 'RowsQuarantined' });
    const run = await runOf(first);
    const second = await stage.start('crm', { job: 'crm' });
    expect(await failureOf(second)).toMatchObject({ type: 'RowsQuarantined' });
    const superseded = await replayFailure(await start({ run }));
    expect(superseded).toMatchObject({ type: 'RunSuperseded' });
    expect(superseded.message).toContain('lethe runs');

    const third = await stage.start('crm', { job: 'crm' });
    await third.signal('pause');
    await until('the run loads', async () => (await progressOf(third))?.phase === 'loading');
    await third.cancel();
    await expect(third.result()).rejects.toThrow();
    const cancelled = await replayFailure(await start({ run: await runOf(third) }));
    expect(cancelled).toMatchObject({ type: 'RunEnded' });
    expect(cancelled.message).toContain('was cancelled');
  });
});
