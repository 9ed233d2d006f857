import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openSession, query, type Session } from '../../postgres/session.js';
import { ask, type Ends, until } from './fixture.js';
import { WorkerProcess } from './processes.js';
import { audited, BROKEN_RULES, Broken, openBroken, useBrokenStage } from './replay-fixture.js';

const at = useBrokenStage(() => ({ worker: false }));
const opened: Ends[] = [];
const blockers: Session[] = [];
const workers: WorkerProcess[] = [];

// A worker gets the variables of all databases when it starts, and stays for the next test.
beforeAll(async () => {
  for (let i = 0; i < 3; i++) opened.push(await openBroken(900, 1_200));
});
// A test that failed may have killed it.
beforeEach(async () => {
  if (!workers.at(-1)?.alive) await startWorker();
});
afterAll(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  for (const blocker of blockers) await blocker.close();
  for (const ends of opened) await ends.drop();
});

async function startWorker(): Promise<void> {
  const worker = new WorkerProcess(at.stage, opened[0]!);
  workers.push(worker);
  await worker.ready();
}

async function block(database: { readonly url: string }, ...statements: string[]): Promise<Session> {
  const options = { role: 'source', applicationName: 'blocker', readOnly: false } as const;
  const blocker = await openSession({ ...options, url: database.url });
  blockers.push(blocker);
  for (const statement of statements) await query(blocker, statement);
  return blocker;
}

/** A failed run whose rows were mended, and whose replay will stand still between its two tables. */
async function readyToReplay(by: Broken): Promise<{ run: string; goOn(): Promise<unknown> }> {
  const run = await by.failing();
  await by.mend();
  const blocker = await block(by.ends.source, 'BEGIN', 'LOCK TABLE public.visit IN ACCESS EXCLUSIVE MODE');
  return { run, goOn: () => query(blocker, 'COMMIT') };
}

async function copied(by: Broken, run: string): Promise<number> {
  const [row] = await ask(
    by.ends.destination,
    `SELECT count(*) AS rows FROM lethe.quarantine WHERE run = $1 AND outcome = 'copied'`,
    [run],
  );
  return Number(row?.rows);
}

const untilFirstTable = (by: Broken, run: string) =>
  until('the first table is replayed', async () => (await copied(by, run)) === 6);

async function expectWhole(by: Broken, run: string, catalog: readonly string[]): Promise<void> {
  expect(await by.states(run)).toEqual(['complete']);
  expect(await copied(by, run)).toBe(7);
  expect(await by.catalog()).toEqual(catalog);
  await by.expectCopied();
}

it('a replay keeps another one from beginning; when its worker is killed it goes on, and copies nothing twice', async () => {
  const by = new Broken(at.stage, opened[0]!);
  const { run, goOn } = await readyToReplay(by);
  const catalog = await by.catalog();
  const handle = await by.replay(run, { ...by.file(), tuning: { heartbeatSeconds: 3 } });
  await untilFirstTable(by, run);
  await expect(by.replay(run)).rejects.toMatchObject({ type: 'DestinationBusy' });
  const args = [{ run, ...by.file() }];
  const other = await at.stage.client.workflow.start('replayFailedBatches', {
    ...{ taskQueue: at.stage.taskQueue, workflowId: `by-hand-${run}`, args },
  });
  await expect(other.result()).rejects.toMatchObject({ cause: { type: 'DestinationBusy' } });
  await workers.at(-1)!.kill();
  await startWorker();
  await goOn();
  const { verdict, replayed } = await handle.result();
  expect(verdict.ok).toBe(true);
  expect(replayed).toEqual({ copied: 7, gone: 0 });
  await expectWhole(by, run, catalog);
});

it('a replay that was terminated is repeated, and copies only what is left', async () => {
  const by = new Broken(at.stage, opened[1]!);
  const { run, goOn } = await readyToReplay(by);
  const catalog = await by.catalog();
  const terminated = await by.replay(run);
  await untilFirstTable(by, run);
  await terminated.terminate();
  await goOn();
  const { replayed } = await (await by.replay(run)).result();
  // The terminated one may have finished its transaction before it noticed.
  expect(replayed.copied).toBeLessThanOrEqual(1);
  await expectWhole(by, run, catalog);
});

/** Whoever writes this row waits for whoever holds the lock. */
const GATE = `
CREATE FUNCTION public.gate() RETURNS boolean LANGUAGE sql AS 'SELECT pg_advisory_xact_lock_shared(4711) IS NOT NULL';
ALTER TABLE public.person ADD CONSTRAINT gate CHECK (nick <> 'nick 800' OR public.gate())`;

it('a table that a corrected job loads again whole is so once, also when the worker is killed amid it', async () => {
  const by = new Broken(at.stage, opened[2]!);
  const rules = `batchRows: 100\n${BROKEN_RULES}`;
  const run = await by.failing(rules);
  await by.mend();
  await ask(by.ends.destination, GATE);
  const catalog = await by.catalog();
  const blocker = await block(by.ends.destination, 'SELECT pg_advisory_lock(4711)');
  const corrected = rules.replace('badge: keep', 'badge: hash');
  const handle = await by.replay(run, { ...by.file(corrected), tuning: { heartbeatSeconds: 3 } });
  await until('some of the table is there, and some is being written', async () => {
    const [row] = await ask(
      by.ends.destination,
      `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted) AS waits,
              (SELECT count(*) FROM public.person) AS people`,
    );
    return row?.waits === 't' && Number(row.people) > 0;
  });
  await workers.at(-1)!.kill();
  await startWorker();
  await query(blocker, 'SELECT pg_advisory_unlock(4711)');
  expect((await handle.result()).verdict.ok).toBe(true);
  expect(await by.catalog()).toEqual(catalog);
  expect((await audited(by.ends, run)).map(({ state }) => state)).toEqual(['failed', 'complete']);
  await by.expectCopied(corrected);
});
