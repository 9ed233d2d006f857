import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LetheError } from '../../errors/errors.js';
import { endOf } from '../../postgres/keystore/generate.js';
import { restoreKeyStore } from '../../postgres/keystore/open.js';
import { makeCanary } from '../../retention/keys/canary.js';
import { STEPS, type Step } from '../../retention/keys/destruction.js';
import { fileMasters } from '../../retention/keys/masters/file.js';
import { fingerprint, wrapKey } from '../../retention/keys/wrapping.js';
import { DAY_MS } from '../../retention/token/day.js';
import { dayKeys } from '../../retention/token/ring.js';
import { onVersions } from '../harness/servers.js';
import { day, describeFile, type KeyStage, keyStage, outcomeOf, sealOn } from './keystore-fixture.js';

const KILLED = new LetheError('Internal', 'killed');

/** Stops a destruction where a kill would. */
function killAt(step: Step, what: 'acted' | 'recorded') {
  return {
    witness(at: Step, did: 'acted' | 'recorded') {
      if (at === step && did === what) throw KILLED;
    },
  };
}

const failed = async (stage: KeyStage) =>
  (await stage.store.verify()).filter(({ state }) => state === 'failed');

onVersions('a key store', (version) => {
  let stage: KeyStage;
  beforeEach(async () => {
    stage = await keyStage(version);
  });
  afterEach(() => stage.end());

  it('makes keys two days ahead, once, and past days inside the window when they are asked for', async () => {
    const { store } = stage;
    expect(await store.generate()).toEqual({ made: 6, policies: ['ip', 'us'] });
    expect(await store.generate()).toMatchObject({ made: 0 });
    const asked = [day(-4), day(-3), day(-2), day(-1), day(0), day(2), day(3)];
    expect(await store.ensureDayKeys('ip', asked)).toEqual([day(-2), day(-1), day(0), day(2)]);
    expect(await store.ensureDayKeys('ip', asked)).toHaveLength(4);
    await expect(store.ensureDayKeys('xx', [day(0)])).rejects.toMatchObject({ type: 'RetentionInvalid' });
    const [ring] = await store.rings({ policies: ['ip'] });
    expect([...ring!.keys.keys()]).toEqual([day(-2), day(-1), day(0), day(1), day(2)]);
    expect(ring).toMatchObject({ asOf: day(0), first: day(-2), gone: [], simulated: true });
  });

  it('gives everybody the same key when many ask at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 6 }, () => stage.store.ensureDayKeys('ip', [day(0), day(1)])),
    );
    expect(new Set(all.map(String))).toEqual(new Set([String([day(0), day(1)])]));
    const rings = await Promise.all(Array.from({ length: 3 }, () => stage.store.rings({ policies: ['ip'] })));
    const keys = rings.map(([ring]) => Buffer.from(ring!.keys.get(day(0))!).toString('hex'));
    expect(new Set(keys).size).toBe(1);
  });

  it('lets a value be read for its window, and never after', async () => {
    const { store } = stage;
    await store.generate();
    const epoch = await store.epoch();
    const token = await sealOn(store, 'ip', day(0));
    const other = await sealOn(store, 'us', day(0));
    await stage.goTo(2);
    await store.generate();
    expect(await store.destroy()).toMatchObject({ destroyed: [] });
    expect(await outcomeOf(store, token)).toBe('value');
    await stage.goTo(3);
    // Due, and not destroyed yet: nobody gets the key any more.
    expect(await outcomeOf(store, token)).toBe('expired');
    const before = await stage.masterFiles();
    expect(await store.destroy()).toEqual({
      cutoff: `${day(3)}T00:30:00.000Z`,
      destroyed: [{ policy: 'ip', day: day(0) }],
      held: [],
      grade: { grade: 'bestEffort' },
    });
    expect(await outcomeOf(store, token)).toBe('expired');
    expect(await outcomeOf(store, other)).toBe('value');
    expect(await store.epoch()).not.toBe(epoch);
    const after = await stage.masterFiles();
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
    expect(await stage.masterFiles(join(stage.copy, 'masters'))).toEqual(after);
    expect(await store.destroy()).toMatchObject({ destroyed: [] });
    expect(await store.ensureDayKeys('ip', [day(0)])).toEqual([]);
    expect(await failed(stage)).toEqual([]);
  });

  it('survives a kill after any step, and between its work and its record', async () => {
    const { store } = stage;
    const kills = STEPS.flatMap((step) => [killAt(step, 'acted'), killAt(step, 'recorded')]).slice(1);
    const tokens: string[] = [];
    for (let i = 0; i < kills.length + 3; i += 1) {
      await stage.goTo(i);
      await store.generate();
      tokens.push(await sealOn(store, 'ip', day(i)));
      if (i < 3) continue;
      await expect(store.destroy(kills[i - 3])).rejects.toBe(KILLED);
      const [due, oldest] = tokens.slice(-4) as [string, string];
      expect([await outcomeOf(store, due), await outcomeOf(store, oldest)]).toEqual(['expired', 'value']);
      await store.ensureDayKeys('us', [day(i - 20)]);
      await store.destroy();
      expect([await outcomeOf(store, due), await outcomeOf(store, oldest)]).toEqual(['expired', 'value']);
      expect((await store.status()).policies[0]).toMatchObject({ id: 'ip', live: 5, destroyed: i - 2 });
      expect(await stage.masterFiles()).toHaveLength(1);
    }
    expect(await failed(stage)).toEqual([]);
  }, 600_000);

  it('waits for a generator that commits late, and keeps its key alive', async () => {
    const { store } = stage;
    await store.generate();
    await stage.goTo(3);
    const late = new pg.Client({ connectionString: stage.database.url });
    await late.connect();
    try {
      await late.query('BEGIN');
      const master = await late.query("SELECT id FROM lethe_keys.master WHERE state = 'active' FOR SHARE");
      const key = randomBytes(32);
      const label = {
        policy: 'us',
        day: day(-1),
        destroyAt: endOf(day(-1), 30),
        master: master.rows[0].id as string,
      };
      await late.query(
        `INSERT INTO lethe_keys.day_key (policy, day, destroy_at, master, wrapped, fingerprint, canary)
         VALUES ('us', $1, to_timestamp($2::float8), $3, $4, $5, $6)`,
        [
          label.day,
          label.destroyAt / 1000,
          label.master,
          await wrapKey(fileMasters(stage.masters), key, label),
          fingerprint(key),
          makeCanary(key, 'us', label.day),
        ],
      );
      const running = store.destroy();
      const first = await Promise.race([running.then(() => 'ended'), waits(stage, late)]);
      expect(first).toBe('waits');
      await late.query('COMMIT');
      expect(await running).toMatchObject({ destroyed: [{ policy: 'ip', day: day(0) }] });
      expect(await stage.masterFiles()).not.toContain(`${label.master}.key`);
      const [ring] = await store.rings({ policies: ['us'] });
      expect(ring!.keys.get(label.day)).toEqual(dayKeys(key, 'us', label.day));
    } finally {
      await late.end();
    }
    expect(await failed(stage)).toEqual([]);
  });

  it('keeps held days from every destruction, and gives them to the actor of the hold only', async () => {
    const { store } = stage;
    await store.generate();
    const token = await sealOn(store, 'ip', day(0));
    expect(
      await store.hold({ policy: 'ip', from: day(0), to: day(1), actor: 'counsel', reason: 'case 7' }),
    ).toEqual({
      hold: 1,
      days: [day(0), day(1)],
      gone: [],
    });
    await expect(
      store.destroyEarly({ policy: 'ip', days: [day(0)], actor: 'dpo', reason: 'request' }),
    ).rejects.toMatchObject({ type: 'OnHold' });
    await stage.goTo(3);
    expect(await store.destroy()).toMatchObject({ destroyed: [], held: [{ policy: 'ip', day: day(0) }] });
    expect(await outcomeOf(store, token)).toBe('expired');
    expect(await outcomeOf(store, token, 'counsel')).toBe('value');
    expect(await outcomeOf(store, token, 'somebody')).toBe('expired');
    expect((await store.status()).holds).toMatchObject([{ id: 1, actor: 'counsel', reason: 'case 7' }]);
    await store.release(1, 'counsel');
    await expect(store.release(1, 'counsel')).rejects.toMatchObject({ type: 'RetentionInvalid' });
    expect(await store.destroy()).toMatchObject({ destroyed: [{ policy: 'ip', day: day(0) }] });
    expect(await outcomeOf(store, token, 'counsel')).toBe('expired');
    const late = await store.hold({ policy: 'ip', from: day(0), actor: 'counsel', reason: 'late' });
    expect(late).toMatchObject({ days: [], gone: [day(0)] });
    expect(await failed(stage)).toEqual([]);
  });

  it('lets a hold that comes before the keys are gone win the race', async () => {
    const { store } = stage;
    await store.generate();
    const token = await sealOn(store, 'ip', day(0));
    await stage.goTo(3);
    await expect(store.destroy(killAt('created', 'recorded'))).rejects.toBe(KILLED);
    await store.hold({ policy: 'ip', from: day(0), actor: 'counsel', reason: 'in time' });
    expect(await store.destroy()).toMatchObject({ destroyed: [], held: [{ day: day(0) }] });
    expect(await outcomeOf(store, token, 'counsel')).toBe('value');
    expect(await failed(stage)).toEqual([]);
  });

  it('destroys a day or a policy early, and makes no key of it again', async () => {
    const { store } = stage;
    await store.generate();
    const token = await sealOn(store, 'us', day(0));
    const request = { policy: 'us', actor: 'dpo', reason: 'contract ended' };
    await expect(store.destroyEarly({ ...request, days: [day(9)] })).rejects.toMatchObject({
      type: 'RetentionInvalid',
    });
    expect(await store.destroyEarly({ ...request, days: [day(0)] })).toMatchObject({
      destroyed: [{ policy: 'us', day: day(0) }],
    });
    expect(await outcomeOf(store, token)).toBe('expired');
    expect((await store.destroyEarly(request)).destroyed).toHaveLength(2);
    await store.generate();
    expect(await store.ensureDayKeys('us', [day(0), day(1), day(2)])).toEqual([]);
    expect(await store.ensureDayKeys('ip', [day(0)])).toEqual([day(0)]);
    expect(await failed(stage)).toEqual([]);
    const [receipt] = await stage.sql(`SELECT text FROM lethe_keys.receipt ORDER BY seq LIMIT 1`);
    expect(JSON.parse(receipt!.text!)).toMatchObject({
      kind: 'destruction',
      cause: 'early',
      actor: 'dpo',
      reason: 'contract ended',
      exports: [{ actor: 'reader', times: 1 }],
    });
  });

  it('never makes a destroyed key again, whoever tries', async () => {
    const { store } = stage;
    await store.generate();
    const [row] = await stage.sql(
      `SELECT to_json(k) AS row FROM lethe_keys.day_key k WHERE policy = 'ip' AND day = $1`,
      [day(0)],
    );
    await stage.goTo(3);
    await store.destroy();
    await expect(
      stage.sql(
        'INSERT INTO lethe_keys.day_key SELECT * FROM json_populate_record(NULL::lethe_keys.day_key, $1)',
        [row!.row!],
      ),
    ).rejects.toMatchObject({ details: { code: 'LK001' } });
  });

  it('refuses a window that became shorter, shrinks on command, and lets one grow', async () => {
    const { store } = stage;
    await store.generate();
    await stage.goTo(2);
    await store.generate();
    const token = await sealOn(store, 'ip', day(0));
    const shorter = await stage.open(describeFile({ masters: stage.masters, copy: stage.copy, window: 2 }));
    await expect(shorter.generate()).rejects.toThrow('lethe retention shrink ip 2');
    expect(await outcomeOf(shorter, token)).toBe('value');
    expect(await store.shrink('ip', 2)).toEqual({ from: 3, to: 2, lost: [day(0)], done: false });
    expect(await outcomeOf(store, token)).toBe('value');
    expect(await store.shrink('ip', 2, true)).toMatchObject({ done: true });
    expect(await outcomeOf(shorter, token)).toBe('expired');
    expect(await shorter.destroy()).toMatchObject({ destroyed: [{ policy: 'ip', day: day(0) }] });
    await expect(store.shrink('ip', 5, true)).rejects.toMatchObject({ type: 'RetentionInvalid' });
    const longer = await stage.open(describeFile({ masters: stage.masters, copy: stage.copy, window: 5 }));
    await longer.generate();
    await stage.goTo(3);
    // What was made under the short window keeps its end.
    expect((await longer.destroy()).destroyed).toEqual([{ policy: 'ip', day: day(1) }]);
    expect(await failed(stage)).toEqual([]);
  });

  it('goes on destroying a policy that was removed from the file', async () => {
    await stage.store.generate();
    const without = { ...stage.file, policies: { us: stage.file.policies.us! } };
    const store = await stage.open(without);
    await stage.goTo(3);
    await store.generate();
    expect(await store.destroy()).toMatchObject({ destroyed: [{ policy: 'ip', day: day(0) }] });
    expect((await store.status()).policies).toMatchObject([
      { id: 'ip', removed: true, destroyed: 1 },
      { id: 'us' },
    ]);
    expect((await store.verify()).filter(({ state }) => state === 'failed')).toEqual([]);
  });

  it('brings every live day back from the second copy when the disk is lost', async () => {
    const { store } = stage;
    await store.generate();
    await stage.goTo(1);
    await store.generate();
    const living = await sealOn(store, 'ip', day(1));
    await stage.goTo(3);
    await expect(store.destroy(killAt('rewrapped', 'recorded'))).rejects.toBe(KILLED);
    await stage.sql('DROP SCHEMA lethe_keys CASCADE');
    await rm(stage.masters, { recursive: true });
    await expect(stage.open()).rejects.toMatchObject({ type: 'ObjectMissing' });
    expect(await restoreKeyStore(stage.file, 'main', stage.resolve)).toEqual({ keys: 8, tombstones: 0 });
    const back = await stage.open();
    await stage.goTo(3);
    expect(await outcomeOf(back, living)).toBe('value');
    expect(await back.destroy()).toMatchObject({ destroyed: [{ policy: 'ip', day: day(0) }] });
    expect(await outcomeOf(back, living)).toBe('value');
    expect(await failed(stage)).toEqual([]);
    await expect(restoreKeyStore(stage.file, 'main', stage.resolve)).rejects.toMatchObject({
      type: 'RetentionInvalid',
    });
  });

  it('destroys nothing while its second copy cannot be written, and says what stands', async () => {
    const { store } = stage;
    await store.generate();
    const living = await sealOn(store, 'us', day(0));
    await stage.goTo(3);
    await rename(stage.copy, `${stage.copy}.away`);
    await writeFile(stage.copy, 'no folder');
    const masters = await stage.masterFiles();
    await expect(store.destroy()).rejects.toMatchObject({ type: 'KeyCopyFailed' });
    expect(await stage.masterFiles()).toEqual(expect.arrayContaining(masters));
    expect(await outcomeOf(store, living)).toBe('value');
    expect((await store.status()).alarms).toEqual([
      expect.stringContaining('one current copy'),
      expect.stringContaining('stands after its step "rewrapped"'),
    ]);
    await rm(stage.copy);
    await rename(`${stage.copy}.away`, stage.copy);
    expect(await store.destroy()).toMatchObject({ destroyed: [{ policy: 'ip', day: day(0) }] });
    expect((await store.status()).alarms).toEqual([]);
    expect(await failed(stage)).toEqual([]);
  });

  it('refuses master keys that are missing, readable for others, no keys, or another host uses', async () => {
    const { store } = stage;
    await store.generate();
    const [name] = await stage.masterFiles();
    const file = join(stage.masters, name!);
    await chmod(file, 0o640);
    await expect(store.rings()).rejects.toThrow(/chmod 600/);
    await chmod(file, 0o600);
    const text = await readFile(file);
    await writeFile(file, 'short');
    await expect(store.rings()).rejects.toMatchObject({ type: 'MasterKeyUnusable' });
    await rm(file);
    await expect(store.rings()).rejects.toThrow(/is not there/);
    expect((await store.status()).alarms).toEqual([expect.stringContaining('is not there')]);
    await writeFile(file, text, { mode: 0o600 });
    await writeFile(join(stage.masters, 'host'), 'another\n');
    await stage.goTo(3);
    await expect(store.destroy()).rejects.toThrow(/another host/);
    const past = new Date(Date.now() - DAY_MS);
    await utimes(join(stage.masters, 'host'), past, past);
    expect((await store.destroy()).destroyed).toHaveLength(1);
    await mkdir(join(stage.home, 'pg'));
    await writeFile(join(stage.home, 'pg', 'PG_VERSION'), '18');
    const inside = describeFile({ masters: join(stage.home, 'pg', 'masters'), copy: stage.copy });
    await expect((await stage.open(inside)).rotate()).rejects.toThrow(/data directory/);
  });
});

/** Resolves when the destruction waits for a lock that the late generator holds. */
async function waits(stage: KeyStage, late: pg.Client): Promise<string> {
  const pid = (late as unknown as { processID: number }).processID;
  for (;;) {
    const [row] = await stage.sql(
      'SELECT count(*) AS n FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)) AND datname = current_database()',
      [pid],
    );
    if (row?.n !== '0') return 'waits';
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
