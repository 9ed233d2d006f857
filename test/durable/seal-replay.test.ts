import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SealInput } from '../../activities/sealTypes.js';
import { startSeal } from '../../workers/seals.js';
import { openStage, type Stage } from './fixture.js';
import {
  committedHistories,
  type Execution,
  executionOf,
  replayAndRecord,
  replayCommitted,
} from './histories.js';
import { type RetainScene, retainScene } from './retain-fixture.js';

/* As `replay.test.ts`, for `sealExisting`: histories of earlier versions replay. `LETHE_RECORD=1` writes them. */

const FOLDER = new URL('histories/seal/', import.meta.url).pathname;

describe('histories of earlier versions', () => {
  const files = committedHistories(FOLDER);

  let replayed: Map<string, Error | undefined>;
  beforeAll(async () => {
    replayed = await replayCommitted(FOLDER, files);
  });

  it.each(files)('%s replays', (file) => expect(replayed.get(file)).toBeUndefined());

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
    const executions: Execution[] = [];
    const check = async (name: string, more: SealInput) => {
      const { text, ends } = scene;
      const input = { file: { name: 'retention.yaml', text }, database: ends.references.source, ...more };
      const handle = await startSeal(stage.client, input, stage.taskQueue);
      const end = await handle.result().then(
        () => 'complete',
        () => 'failed',
      );
      executions.push(await executionOf(handle, name));
      return end;
    };
    expect(await check('dry-run', { dryRun: true })).toBe('complete');
    expect(await check('refused', { tables: ['public.other'] })).toBe('failed');
    expect(await check('sealed', { skipRewrite: true })).toBe('complete');
    expect(await check('nothing-left', {})).toBe('complete');
    expect(await check('unconfirmed', { redactExpired: 1 })).toBe('failed');
    expect(await check('redacted', { redactExpired: 10 })).toBe('complete');
    await replayAndRecord(FOLDER, executions);
  });
});
