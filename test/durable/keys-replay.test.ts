import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { day } from '../engine/keystore-fixture.js';
import { ask, openStage, type Stage } from './fixture.js';
import { committedHistories, executionOf, replayAndRecord, replayCommitted } from './histories.js';
import { backfilled, type Keys, keyFailure, openKeys, scheduled, startByHand } from './keys-fixture.js';

/* As `replay.test.ts`, for the workflows about keys: histories of earlier versions replay. `LETHE_RECORD=1` writes them. */

const FOLDER = new URL('histories/keys/', import.meta.url).pathname;

const START = Date.parse(`${day(0)}T00:30:00Z`);
const at = (days: number) => START + days * 86_400_000;
let keys: Keys;
let real: Keys;
let stage: Stage;
beforeAll(async () => {
  keys = await openKeys({ start: START });
  real = await openKeys();
  stage = await openStage({ jobsFolder: keys.folder });
  await scheduled(stage, keys);
});
afterAll(async () => {
  await stage.stop();
  await real.drop();
  await keys.drop();
});

describe('histories of earlier versions', () => {
  const files = committedHistories(FOLDER);

  let replayed: Map<string, Error | undefined>;
  beforeAll(async () => {
    replayed = await replayCommitted(FOLDER, files);
  });

  it.each(files)('%s replays', (file) => expect(replayed.get(file)).toBeUndefined());

  it('cover both workflows and every end', () => {
    expect(files.map((file) => file.replace('.history.json', '')).sort()).toEqual([
      'by-hand-destroyDayKeys',
      'left-destroyDayKeys',
      'nothing-due-destroyDayKeys',
      'scheduled-destroyDayKeys',
      'scheduled-generateDayKeys',
      'unconfirmed-destroyDayKeys',
      'unknown-generateDayKeys',
    ]);
  });
});

describe('histories of this version', () => {
  async function check(name: string, handle: WorkflowHandle, ends = 'none'): Promise<void> {
    expect(await keyFailure(handle)).toMatchObject({ type: ends });
    await replayAndRecord(FOLDER, [await executionOf(handle, name)]);
  }

  it('by schedule, by hand, with nothing due, and what was left', async () => {
    await check(
      'scheduled-generateDayKeys',
      await backfilled(stage, keys, 'generateDayKeys', at(0) - 25 * 60_000),
    );
    await check('nothing-due-destroyDayKeys', await startByHand(stage, 'destroyDayKeys'));
    await keys.store.setClock(at(3));
    await check('scheduled-destroyDayKeys', await backfilled(stage, keys, 'destroyDayKeys', at(3)));
    await keys.store.setClock(at(4));
    await check('by-hand-destroyDayKeys', await startByHand(stage, 'destroyDayKeys', {}));
    await keys.store.setClock(at(5));
    const { destruction } = await keys.store.beginDestruction();
    await keys.store.destroyUpTo(destruction!.id, 'copied');
    await check('left-destroyDayKeys', await startByHand(stage, 'destroyDayKeys', {}));
  });

  it('refused', async () => {
    await check(
      'unknown-generateDayKeys',
      await startByHand(stage, 'generateDayKeys', { keyStore: 'nobody' }),
      'JobInvalid',
    );
    await ask(real.database, `UPDATE lethe_keys.store SET last_cutoff = now() - interval '9 days'`);
    await check(
      'unconfirmed-destroyDayKeys',
      await startByHand(stage, 'destroyDayKeys', real.ref),
      'Unconfirmed',
    );
  });
});
