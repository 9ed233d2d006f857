import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { decideCutoff } from '../../retention/keys/cutoff.js';
import { addDays, DAY_MS } from '../../retention/token/day.js';
import { describeFile, type KeyStage, keyStage, outcomeOf, sealOn, today } from './keystore-fixture.js';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/* What destruction goes by, what proves it, and what it refuses, in a store of real time. */

const MINUTE = 60_000;

describe('a cutoff', () => {
  const now = Date.UTC(2026, 2, 10, 0, 30);
  const clocks = { logical: now, database: now, temporal: now };

  it('is the earliest of all clocks', () => {
    expect(decideCutoff({ ...clocks, logical: now - 3 * DAY_MS }, now)).toBe(now - 3 * DAY_MS);
    expect(decideCutoff({ ...clocks, logical: Date.UTC(2030, 0, 1) }, now)).toBe(now);
    expect(decideCutoff({ ...clocks, database: now - 4 * MINUTE }, now)).toBe(now - 4 * MINUTE);
    expect(decideCutoff({ ...clocks, temporal: now - 5 * MINUTE }, now)).toBe(now - 5 * MINUTE);
  });

  it('is refused when clocks differ by more than five minutes, or when one is no time', () => {
    for (const apart of [-5 * MINUTE - 1, 5 * MINUTE + 1, 365 * DAY_MS])
      expect(() => decideCutoff({ ...clocks, database: now + apart }, now, true)).toThrow(/apart/);
    expect(() => decideCutoff({ ...clocks, logical: Number.NaN }, now)).toThrow(/no time/);
  });

  it('more than seven days after the last one needs a confirmation', () => {
    expect(decideCutoff(clocks, now - 7 * DAY_MS)).toBe(now);
    expect(() => decideCutoff(clocks, now - 7 * DAY_MS - 1)).toThrow(/--confirm-gap/);
    expect(decideCutoff(clocks, now - 70 * DAY_MS, true)).toBe(now);
    // A time that is past has been done.
    expect(decideCutoff({ ...clocks, logical: now - 90 * DAY_MS }, now)).toBe(now - 90 * DAY_MS);
  });
});

describe('a key store of real time', () => {
  let stage: KeyStage;
  const variable = 'LETHE_TEST_MASTER';
  beforeEach(async () => {
    process.env[variable] = randomBytes(32).toString('base64');
  });
  afterEach(async () => {
    await stage.end();
    delete process.env[variable];
  });

  /** Two days are due, since their window became shorter; also when midnight passes meanwhile. */
  async function withDueDays(options: Parameters<typeof keyStage>[1] = {}): Promise<string> {
    stage = await keyStage(18, { simulated: false, window: 10, ...options });
    const days = [addDays(today(), -3), addDays(today(), -2)];
    await stage.store.generate();
    expect(await stage.store.ensureDayKeys('ip', days)).toHaveLength(2);
    const token = await sealOn(stage.store, 'ip', days[1]!);
    await stage.store.shrink('ip', 2, true);
    expect((await stage.store.status()).policies[0]).toMatchObject({ id: 'ip', due: 2 });
    return token;
  }

  it('destroys nothing while clocks differ, whichever is wrong', async () => {
    await withDueDays();
    const { store } = stage;
    const now = Date.now();
    for (const temporal of [now - 60 * MINUTE, now + 60 * MINUTE, now + 400 * DAY_MS])
      await expect(store.destroy({ temporal })).rejects.toMatchObject({ type: 'ClocksDiffer' });
    expect((await store.status()).policies[0]).toMatchObject({ due: 2, destroyed: 0 });
    // Of a day that nobody had keys of; a logical date of 2030 is now.
    expect((await store.destroy({ logical: now - 40 * DAY_MS })).destroyed).toEqual([]);
    const { cutoff, destroyed } = await store.destroy({ logical: Date.UTC(2030, 0, 1) });
    expect(destroyed).toHaveLength(2);
    expect(Date.parse(cutoff)).toBeLessThanOrEqual(Date.now() + 5 * MINUTE);
  });

  it('destroys nothing after a gap of more than seven days until it is confirmed, and says so before', async () => {
    const token = await withDueDays();
    const { store } = stage;
    await stage.sql(`UPDATE lethe_keys.store SET last_cutoff = clock_timestamp() - interval '8 days'`);
    expect((await store.status()).alarms).toContainEqual(expect.stringContaining('8 days ago'));
    await expect(store.destroy()).rejects.toMatchObject({ type: 'Unconfirmed' });
    expect((await store.status()).policies[0]).toMatchObject({ due: 2, destroyed: 0 });
    expect((await store.destroy({ confirmGap: true })).destroyed).toHaveLength(2);
    expect(await outcomeOf(store, token)).toBe('expired');
    expect((await store.status()).alarms).not.toContainEqual(expect.stringContaining('days ago'));
    expect((await store.destroy()).destroyed).toEqual([]);
  });

  it('has no second step when a run was for a day long ago', async () => {
    await withDueDays();
    const { store } = stage;
    await store.destroy({ logical: Date.now() - 40 * DAY_MS });
    expect((await store.destroy()).destroyed).toHaveLength(2);
  });

  it('cannot be moved, nor opened as a simulated one', async () => {
    await withDueDays();
    await expect(stage.store.setClock(Date.now() + DAY_MS)).rejects.toMatchObject({
      type: 'RetentionInvalid',
    });
    const other = describeFile({ masters: stage.masters, copy: stage.copy, simulated: true });
    await expect(stage.open(other)).rejects.toThrow(/stays so/);
  });

  it('with masters in an environment variable destroys at no grade, which is not enough unless it is asked for', async () => {
    const token = await withDueDays({ env: true });
    const { store } = stage;
    expect(await store.destroy()).toMatchObject({ grade: { grade: 'none' } });
    expect(await outcomeOf(store, token)).toBe('expired');
    const grades = async (of = store) => (await of.verify()).find(({ check }) => check === 'grades');
    expect(await grades()).toMatchObject({ state: 'failed', says: expect.stringContaining('grade none') });
    expect((await store.status()).policies[0]).toMatchObject({ grade: 'none' });
    const { ip, us } = stage.file.policies;
    const lenient = { ...stage.file, policies: { ip: { ...ip!, requireGrade: 'none' as const }, us: us! } };
    expect(await grades(await stage.open(lenient))).toMatchObject({ state: 'ok' });
    process.env[variable] = 'short';
    await expect(store.rings()).rejects.toMatchObject({ type: 'MasterKeyUnusable' });
  });

  it('that destroys at best effort fails a policy which asks for more', async () => {
    await withDueDays();
    await stage.store.destroy();
    const { ip, us } = stage.file.policies;
    const strict = { ...stage.file, policies: { ip: { ...ip!, requireGrade: 'erased' as const }, us: us! } };
    const found = await (await stage.open(strict)).verify();
    expect(found.filter(({ state }) => state === 'failed')).toMatchObject([{ check: 'grades' }]);
  });

  it.each([
    [
      'receipt 1 was changed',
      `UPDATE lethe_keys.receipt SET text = replace(text, '"due"', '"early"') WHERE seq = 1`,
    ],
    ['before receipt 2 receipts are missing', 'DELETE FROM lethe_keys.receipt WHERE seq = 1'],
    ['no receipt for policy', 'DELETE FROM lethe_keys.receipt WHERE seq = 2'],
    [
      'receipt 2 is not signed',
      `UPDATE lethe_keys.receipt SET digest = encode(sha256(convert_to(t.new, 'UTF8')), 'hex'), text = t.new
         FROM (SELECT replace(text, '"due"', '"early"') AS new FROM lethe_keys.receipt WHERE seq = 2) t WHERE seq = 2`,
    ],
    [
      'receipt 2 belongs elsewhere',
      `UPDATE lethe_keys.receipt r SET text = o.text, digest = o.digest, signature = o.signature
         FROM lethe_keys.receipt o WHERE o.seq = 1 AND r.seq = 2`,
    ],
  ])('is caught by verify: %s', async (says, sql) => {
    await withDueDays();
    await stage.store.destroy();
    expect((await stage.store.verify())[0]).toMatchObject({ check: 'receipts', state: 'ok' });
    await stage.sql(sql);
    const [receipts] = await stage.store.verify();
    expect(receipts).toMatchObject({
      check: 'receipts',
      state: 'failed',
      says: expect.stringContaining(says),
    });
  });
});
