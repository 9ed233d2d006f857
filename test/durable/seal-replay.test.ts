import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SealInput } from '../../activities/sealTypes.js';
import { startSeal } from '../../workers/seals.js';
import { openStage, type Stage } from './fixture.js';
import { type RetainScene, retainScene } from './retain-fixture.js';

/* As `replay.test.ts`, for `sealExisting`: histories of earlier versions replay. `LETHE_RECORD=1` writes them. */

const FOLDER = new URL('histories/seal/', import.meta.url).pathname;
const BUNDLE = new URL('../../dist/workflow-bundle.js', import.meta.url).pathname;
const { History } = proto.temporal.api.history.v1;

async function replay(history: object, workflowId: string): Promise<void> {
  await Worker.runReplayHistory(
    { workflowBundle: { code: readFileSync(BUNDLE, 'utf8') } },
    history,
    workflowId,
  );
}

describe('histories of earlier versions', () => {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.history.json'));

  it.each(files)('%s replays', async (file) => {
    const { workflowId, history } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
    await replay(History.fromObject(history), workflowId);
  });

  it('cover every end', () => {
    const names = files.map((file) => file.replace('.history.json', '')).sort();
    expect(names).toEqual(['dry-run', 'nothing-left', 'redacted', 'refused', 'sealed', 'unconfirmed']);
  });
});

describe('histories of this version', () => {
  let stage: Stage;
  let scene: RetainScene;
  beforeAll(async () => {
    const table = 'CREATE TABLE public.event (id int PRIMARY KEY, at date, ip text)';
    const rows = `INSERT INTO public.event SELECT i, current_date - (i % 2) * 50, 'value ' || i FROM generate_series(1, 20) AS i`;
    const tables = '  tables: { public.event: { date: at, columns: { ip: ip } } }\n';
    [stage, scene] = await Promise.all([openStage(), retainScene([table], [rows], [], tables, true)]);
  });
  afterAll(async () => {
    await scene.end();
    await stage.stop();
  });

  it('by what is asked for', async () => {
    const check = async (name: string, more: SealInput) => {
      const { text, ends } = scene;
      const input = { file: { name: 'retention.yaml', text }, database: ends.references.source, ...more };
      const handle = await startSeal(stage.client, input, stage.taskQueue);
      const end = await handle.result().then(
        () => 'complete',
        () => 'failed',
      );
      const history = await handle.fetchHistory();
      await replay(history, handle.workflowId);
      if (process.env.LETHE_RECORD) record(name, handle, history);
      return end;
    };
    expect(await check('dry-run', { dryRun: true })).toBe('complete');
    expect(await check('refused', { tables: ['public.other'] })).toBe('failed');
    expect(await check('sealed', { skipRewrite: true })).toBe('complete');
    expect(await check('nothing-left', {})).toBe('complete');
    expect(await check('unconfirmed', { redactExpired: 1 })).toBe('failed');
    expect(await check('redacted', { redactExpired: 10 })).toBe('complete');
  });
});

function record(name: string, { workflowId }: WorkflowHandle, history: object): void {
  mkdirSync(FOLDER, { recursive: true });
  const plain = History.toObject(History.fromObject(history), {
    longs: String,
    enums: String,
    bytes: String,
  });
  // Who polled is of no interest to a replay, and names a machine.
  const scrubbed = JSON.stringify({ workflowId, history: plain })
    .replace(/"(identity|lastWorkerIdentity|stackTrace)":"([^"\\]|\\.)*"/g, '"$1":""')
    .replace(/"name":"\d+@[^"]*"/g, '"name":"sticky"');
  writeFileSync(join(FOLDER, `${name}.history.json`), `${scrubbed}\n`);
}
