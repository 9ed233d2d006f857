import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { applyKeySchedules, keyScheduleId, removeKeySchedules } from '../../workers/keySchedules.js';
import { KEY_STORE_ATTRIBUTE, MODE_ATTRIBUTE } from '../../workflows/attributes.js';
import { day, outcomeOf, sealOn } from '../engine/keystore-fixture.js';
import { ask, openStage, type Stage, until } from './fixture.js';
import { backfilled, type Keys, keyFailure, openKeys, scheduled, startByHand } from './keys-fixture.js';

const START = Date.parse(`${day(0)}T00:30:00Z`);
const at = (days: number) => START + days * 86_400_000;

let keys: Keys;
let stage: Stage;

/** A worker that knows the retention files of a folder. */
async function open(options: Parameters<typeof openKeys>[0]): Promise<void> {
  keys = await openKeys(options);
  stage = await openStage({ jobsFolder: keys.folder });
}
async function close(): Promise<void> {
  await removeKeySchedules(stage.client, keys.name);
  await stage.stop();
  await keys.drop();
}

describe('a key store that workers know by its file', () => {
  beforeEach(() => open({ start: START }));
  afterEach(close);

  it.each([[[]], [[{}]], [[null]], [[{ keyStore: 'the one' }]]])('is meant by %j', async (given) => {
    const args = given.map((one) => (one && 'keyStore' in one ? { keyStore: keys.name } : one));
    const generate = await startByHand(stage, 'generateDayKeys', ...args);
    const policies = ['ip', 'us'];
    expect(await generate.result()).toEqual([{ keyStore: keys.name, made: 6, policies }]);
    const again = await startByHand(stage, 'generateDayKeys', ...args);
    expect(await again.result()).toMatchObject([{ made: 0 }]);
    const token = await sealOn(keys.store, 'ip', day(0));
    await keys.store.setClock(at(3));
    const destroy = await startByHand(stage, 'destroyDayKeys', ...args);
    expect(await destroy.result()).toEqual([
      {
        keyStore: keys.name,
        cutoff: `${day(3)}T00:30:00.000Z`,
        destroyed: [{ policy: 'ip', day: day(0) }],
        held: [],
        grade: { grade: 'bestEffort' },
      },
    ]);
    expect(await outcomeOf(keys.store, token)).toBe('expired');
    expect((await keys.store.verify()).filter(({ state }) => state === 'failed')).toEqual([]);
    const { typedSearchAttributes } = await destroy.describe();
    expect(typedSearchAttributes.get(KEY_STORE_ATTRIBUTE)).toBe(keys.name);
    expect(typedSearchAttributes.get(MODE_ATTRIBUTE)).toBe('destroy');
  });

  it('is listed where another one was meant, and every mistake of an input is told at once', async () => {
    const unknown = await keyFailure(
      await startByHand(stage, 'destroyDayKeys', { keyStore: `${keys.name}x` }),
    );
    expect(unknown.type).toBe('JobInvalid');
    expect(unknown.message).toContain(`did you mean "${keys.name}"`);
    expect(unknown.message).toContain(`${keys.name} (policies ip, us)`);
    const input = { keyStor: 1, keyStore: 2, logicalDate: 'soon', confirmGap: 'yes', file: 'a' };
    const wrong = await keyFailure(await startByHand(stage, 'destroyDayKeys', input));
    expect(wrong.type).toBe('JobInvalid');
    for (const part of ['"keyStor"', '"keyStore" must', '"logicalDate"', '"confirmGap"', '"file" must'])
      expect(wrong.message).toContain(part);
    const gap = await keyFailure(await startByHand(stage, 'generateDayKeys', { confirmGap: true }));
    expect(gap.message).toContain('unknown field "confirmGap"');
    expect((await keyFailure(await startByHand(stage, 'generateDayKeys', 'main'))).type).toBe('JobInvalid');
  });

  it('does not wait for another one that fails', async () => {
    const broken = {
      name: join(keys.folder, 'broken.yaml'),
      text: keys.ref.file.text.replaceAll(keys.name, 'broken').replace('env:KEYS_', 'env:NO_KEYS_'),
    };
    await writeFile(broken.name, broken.text);
    const failure = await keyFailure(
      await startByHand(stage, 'generateDayKeys', { tuning: { attempts: 1 } }),
    );
    expect(failure).toMatchObject({
      type: 'ReferenceUnresolved',
      message: expect.stringMatching(/^Key store broken: /),
    });
    expect((await keys.store.status()).policies).toMatchObject([{ live: 3 }, { live: 3 }]);
    // A file with mistakes is told, and does not matter where another one was meant.
    await writeFile(broken.name, broken.text.replace('window', 'windoww'));
    const wrong = await keyFailure(await startByHand(stage, 'generateDayKeys', {}));
    expect([wrong.type, wrong.message]).toEqual(['JobInvalid', expect.stringContaining('windoww')]);
    const other = await startByHand(stage, 'generateDayKeys', { keyStore: keys.name });
    expect(await other.result()).toMatchObject([{ made: 0 }]);
  });

  it('may be worked on by many at once', async () => {
    const { store } = keys;
    await store.generate();
    const tokens = [await sealOn(store, 'ip', day(0)), await sealOn(store, 'us', day(0))];
    await store.setClock(at(3));
    const handles = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        startByHand(stage, i % 3 === 0 ? 'generateDayKeys' : 'destroyDayKeys', {}),
      ),
    );
    const done = (await Promise.all(handles.map((handle) => handle.result()))) as {
      destroyed?: object[];
    }[][];
    expect(done.flat().filter(({ destroyed }) => destroyed)).toHaveLength(4);
    expect(await Promise.all(tokens.map((token) => outcomeOf(store, token)))).toEqual(['expired', 'value']);
    expect((await store.status()).policies).toMatchObject([
      { id: 'ip', due: 0, destroyed: 1 },
      { id: 'us', destroyed: 0 },
    ]);
    expect(await ask(keys.database, 'SELECT count(*) AS n FROM lethe_keys.destruction')).toEqual([
      { n: '1' },
    ]);
    expect((await store.verify()).filter(({ state }) => state === 'failed')).toEqual([]);
  });
});

describe('schedules of a key store', () => {
  beforeEach(() => open({ start: START }));
  afterEach(close);

  it('are made once, keep their pause, follow each other, and go by UTC', async () => {
    const { client, taskQueue } = stage;
    const ids = [keyScheduleId('generateDayKeys', keys.name), keyScheduleId('destroyDayKeys', keys.name)];
    const made = await applyKeySchedules(client, keys.retention, keys.ref, taskQueue);
    expect(made).toMatchObject(ids.map((id) => ({ id, action: 'created', paused: false })));
    await client.schedule.getHandle(ids[1]!).pause('looking');
    const changed = { ...keys.retention, schedules: { generate: '7 * * * *', destroy: '15 2 * * *' } };
    const again = await applyKeySchedules(client, changed, keys.ref, taskQueue);
    expect(again.map(({ action, paused }) => [action, paused])).toEqual([
      ['updated', false],
      ['updated', true],
    ]);
    const { spec, policies, action, info } = await client.schedule.getHandle(ids[1]!).describe();
    expect(policies).toMatchObject({ overlap: 'BUFFER_ONE', catchupWindow: 86_400_000 });
    expect(spec.timezone).toBe('UTC');
    expect(info.nextActionTimes.every((time) => time.toISOString().endsWith('T02:15:00.000Z'))).toBe(true);
    expect(JSON.stringify(action)).not.toContain(keys.env[`SIGNING_${keys.name.slice(1)}`]);
    expect(await removeKeySchedules(client, keys.name)).toEqual(ids);
    expect(await removeKeySchedules(client, keys.name)).toEqual([]);
  });

  it('go by the time that they meant: late, backfilled, and never later than the store', async () => {
    const { store } = keys;
    await scheduled(stage, keys);
    const generate = await backfilled(stage, keys, 'generateDayKeys', at(0) - 25 * 60_000);
    expect(await generate.result()).toMatchObject([{ made: 6 }]);
    await store.ensureDayKeys('ip', [day(-1)]);
    await store.setClock(at(3));
    // For two days ago: of then, only the oldest was due.
    const late = await backfilled(stage, keys, 'destroyDayKeys', at(2));
    expect(await late.result()).toMatchObject([
      { cutoff: `${day(2)}T00:30:00.000Z`, destroyed: [{ policy: 'ip', day: day(-1) }] },
    ]);
    const early = await startByHand(stage, 'destroyDayKeys', { logicalDate: '2030-01-01' });
    expect(await early.result()).toMatchObject([
      { cutoff: `${day(3)}T00:30:00.000Z`, destroyed: [{ policy: 'ip', day: day(0) }] },
    ]);
  });
});

describe('a key store of real time', () => {
  beforeAll(() => open({}));
  afterAll(close);

  it('destroys nothing when the last run was long ago, until somebody confirms', async () => {
    await keys.store.generate();
    const age = () =>
      ask(keys.database, `UPDATE lethe_keys.store SET last_cutoff = clock_timestamp() - interval '8 days'`);
    await age();
    const refused = await keyFailure(await startByHand(stage, 'destroyDayKeys', { keyStore: keys.name }));
    expect(refused.type).toBe('Unconfirmed');
    expect(refused.message).toContain('{"confirmGap": true}');
    expect((await keys.store.status()).alarms).toContainEqual(expect.stringContaining('more than 7'));
    const confirmed = await startByHand(stage, 'destroyDayKeys', { keyStore: keys.name, confirmGap: true });
    expect(await confirmed.result()).toMatchObject([{ destroyed: [], held: [] }]);
    expect((await keys.store.status()).alarms).toEqual([expect.stringContaining('same disk')]);
    const again = await startByHand(stage, 'destroyDayKeys', { keyStore: keys.name });
    expect(await again.result()).toMatchObject([{ destroyed: [] }]);
  });

  it('waits while the clock of its database is off, and goes on when it is right', async () => {
    await clock('ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO true_clock');
    await clock(says("+ interval '10 minutes'"));
    const handle = await startByHand(stage, 'destroyDayKeys', { keyStore: keys.name });
    await until('an attempt was refused', async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.some(({ lastFailure }) =>
        lastFailure?.message?.includes('s apart, more than 300 s'),
      );
    });
    await clock(says(''));
    expect(await handle.result()).toMatchObject([{ destroyed: [] }]);
  });
});

/** The clock of the key store's database as its own catalog has it. */
const says = (more: string) =>
  `CREATE OR REPLACE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
     AS $$ SELECT pg_catalog.true_clock() ${more} $$`;
const clock = (sql: string) => ask(keys.database, `SET LOCAL allow_system_table_mods = on; ${sql}`);
