import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTemporal } from '../../embedded/temporal.js';
import { progressOf, type SyncHandle } from '../../workers/runs.js';
import { concurrencyUpdate, windowSignal } from '../../workflows/messages.js';
import { type Copy, expectWholeLedger, readCopy } from './compare.js';
import { CRM_RULES, IDENTIFYING } from './crm.js';
import { ask, type Ends, failureOf, jobFile, openCrm, openStage, type Stage, until } from './fixture.js';
import { WorkerProcess } from './processes.js';
import { whileCopyWaits } from './stuck.js';

/* Each test disturbs a run in one way and compares what it leaves with a run that nobody disturbed. */

const RULES = CRM_RULES.replace('batchRows: 1000', 'batchRows: 500');
const tuning = { heartbeatSeconds: 4 };

let stage: Stage;
let key: string;
let before: Copy;
let calm: Copy;
beforeAll(async () => {
  stage = await openStage();
  const ends = await openCrm();
  key = ends.key;
  before = await readCopy(ends);
  await (await stage.start('crm', { file: jobFile(ends, RULES) })).result();
  calm = await readCopy(ends);
  await ends.drop();
});
afterAll(() => stage.stop());

async function withEnds(body: (ends: Ends) => Promise<void>): Promise<void> {
  const ends = await openCrm(key);
  try {
    await body(ends);
  } finally {
    await ends.drop();
  }
}

function start(ends: Ends, on: Stage = stage): Promise<SyncHandle> {
  return on.start('crm', { file: jobFile(ends, RULES), tuning });
}

async function expectCalm(ends: Ends, handle: SyncHandle): Promise<void> {
  const { run, verdict } = await handle.result();
  expect(verdict.ok).toBe(true);
  await expectWholeLedger(ends, run);
  expect(await readCopy(ends)).toEqual({ contents: calm.contents, catalog: before.catalog });
}

/** Committed batches, of all runs or of one. */
async function committed(ends: Ends, run?: string): Promise<number> {
  const [there] = await ask(ends.destination, `SELECT to_regclass('lethe.batch') IS NOT NULL AS there`);
  if (there?.there !== 't') return 0;
  const [row] = await ask(
    ends.destination,
    `SELECT count(*) AS n FROM lethe.batch WHERE state = 'committed' AND ($1::uuid IS NULL OR run = $1)`,
    [run ?? null],
  );
  return Number(row?.n);
}

function loading(ends: Ends, batches = 3): Promise<unknown> {
  return until('rows move', async () => (await committed(ends)) >= batches);
}

/** Ends sessions of Lethe by what they do; returns how many. */
async function terminate(database: { url: string }, condition: string): Promise<number> {
  const rows = await ask(
    database,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'lethe:%' AND ${condition}`,
  );
  return rows.length;
}

it('backends that are terminated in the middle of COPY', () =>
  withEnds(async (ends) => {
    const handle = await start(ends);
    const copying = `query LIKE 'COPY%' AND state = 'active'`;
    for (let round = 1; round <= 6; round += 1) {
      await loading(ends, round * 8);
      if (round % 2 === 0) {
        // On a fast machine most are between two COPYs when they are looked at.
        await until('something is read', () => terminate(ends.source, copying), 20_000).catch(() => 0);
      } else {
        const ended = await whileCopyWaits(ends.destination, () => terminate(ends.destination, copying));
        expect(ended).toBeGreaterThan(0);
      }
    }
    await expectCalm(ends, handle);
  }));

it('a snapshot that is reported gone while its holders live', () =>
  withEnds(async (ends) => {
    const handle = await start(ends);
    await loading(ends);
    const lost = await ask(
      ends.destination,
      'UPDATE lethe.snapshot SET lost = clock_timestamp() WHERE lost IS NULL RETURNING generation',
    );
    expect(lost).not.toEqual([]);
    await expectCalm(ends, handle);
    const [row] = await ask(ends.destination, 'SELECT max(generation) AS generation FROM lethe.snapshot');
    expect(Number(row?.generation)).toBeGreaterThan(Number(lost[0]?.generation));
  }));

it('a run that is terminated and started again', () =>
  withEnds(async (ends) => {
    const first = await start(ends);
    await loading(ends);
    const { run } = (await progressOf(first))!;
    await first.terminate('by a test');
    const second = await start(ends);
    await expectCalm(ends, second);
    const [row] = await ask(ends.destination, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
    expect(row?.state).toBe('superseded');
  }));

it('a frozen worker that comes back after the next run began', () =>
  withEnds(async (ends) => {
    const far = await openStage({ worker: false });
    const zombie = new WorkerProcess(far, ends);
    await zombie.ready();
    const first = await start(ends, far);
    await loading(ends);
    const { run } = (await progressOf(first))!;
    zombie.freeze();
    await first.terminate('by a test');
    const worker = new WorkerProcess(far, ends);
    await worker.ready();
    const second = await start(ends, far);
    await until('the next run owns the tables', async () => {
      const [row] = await ask(ends.destination, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
      return row?.state === 'superseded';
    });
    const then = await committed(ends, run);
    zombie.thaw();
    await expectCalm(ends, second);
    expect(await committed(ends, run)).toBe(then);
    await zombie.stop();
    await worker.stop();
    expect(`${zombie.log}${worker.log}`).not.toMatch(IDENTIFYING);
    expect(await readCopy(ends)).toEqual({ contents: calm.contents, catalog: before.catalog });
    await far.stop();
  }));

it('a run that is cancelled, and the next one', () =>
  withEnds(async (ends) => {
    const first = await start(ends);
    await loading(ends);
    const { run } = (await progressOf(first))!;
    await first.cancel();
    expect((await failureOf(first)).type).toBe('CancelledFailure');
    expect((await readCopy(ends)).catalog).toEqual(before.catalog);
    const [row] = await ask(ends.destination, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
    expect(row?.state).toBe('cancelled');
    await expectCalm(ends, await start(ends));
  }));

it('a run that is paused, and goes on with more at once', () =>
  withEnds(async (ends) => {
    const handle = await start(ends);
    await loading(ends);
    await handle.signal('pause');
    let last = -1;
    await until('nothing moves any more', async () => {
      const now = await committed(ends);
      const still = now === last;
      last = now;
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      return still;
    });
    expect((await progressOf(handle))?.paused).toBe(true);
    expect(await handle.executeUpdate(concurrencyUpdate, { args: [{ partitions: 6 }] })).toBe(6);
    await expect(handle.executeUpdate(concurrencyUpdate, { args: [{ partitions: 0 }] })).rejects.toThrow();
    await handle.signal('resume');
    expect(await lateWindows(handle)).toBeGreaterThan(0);
    await expectCalm(ends, handle);
  }));

/** The pause's own message, as if it had been overtaken by that of the resumption. Returns how many got it. */
async function lateWindows(handle: SyncHandle): Promise<number> {
  const { run, tables } = (await progressOf(handle))!;
  const told = await Promise.allSettled(
    tables.map(({ name }) =>
      stage.client.workflow
        .getHandle(`sync:crm:${run}/${name}`)
        .signal(windowSignal, { partitions: 0, order: 1 }),
    ),
  );
  return told.filter(({ status }) => status === 'fulfilled').length;
}

it('snapshot holders that are lost, one and then both', () =>
  withEnds(async (ends) => {
    const handle = await start(ends);
    await loading(ends);
    await handle.signal('pause');
    const { run } = (await progressOf(handle))!;
    const held = () =>
      ask(
        ends.destination,
        'SELECT generation, exported_id FROM lethe.snapshot WHERE run = $1 AND lost IS NULL ORDER BY generation DESC',
        [run],
      );
    const generations = async () => (await held()).map(({ generation }) => Number(generation));
    await until('two hold it', async () => (await held()).length === 2);
    const before = (await held()).map(({ exported_id }) => exported_id);
    const holders = `application_name LIKE 'lethe:%/s%'`;
    expect(
      await terminate(
        ends.source,
        `${holders} AND pid = (SELECT min(pid) FROM pg_stat_activity WHERE datname = current_database() AND ${holders})`,
      ),
    ).toBe(1);
    // Not by their sessions: who was ended goes when it notices, and who comes is told of last.
    await until('two hold it again', async () => {
      const now = await held();
      return now.length === 2 && now.some(({ exported_id }) => !before.includes(exported_id));
    });
    expect(await generations()).toEqual([1, 1]);
    expect(await terminate(ends.source, holders)).toBe(2);
    await handle.signal('resume');
    // Tables with a key go on in the new generation; the one without is read again from its start.
    await expectCalm(ends, handle);
    expect(Math.max(...(await generations()))).toBe(2);
  }));

it('a Temporal server that crashes and comes back', () =>
  withEnds(async (ends) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'lethe-crash-'));
    const server = await startTemporal({ dataDir });
    const port = Number(server.address.split(':')[1]);
    const own = await openStage({ address: server.address });
    const handle = await start(ends, own);
    await loading(ends);
    await server.kill();
    const again = await startTemporal({ dataDir, port });
    await expectCalm(ends, handle);
    await own.stop();
    await again.stop();
    await rm(dataDir, { recursive: true, force: true });
  }));
