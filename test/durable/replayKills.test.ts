import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSession, query, type Session } from '../../postgres/session.js';
import { catalogText } from '../engine/saga-fixture.js';
import {
  ask,
  type Ends,
  failureOf,
  inside,
  jobFile,
  openStage,
  runOf,
  type Stage,
  until,
} from './fixture.js';
import { WorkerProcess } from './processes.js';
import {
  BROKEN_RULES,
  contents,
  MEND_DESTINATION,
  MEND_SOURCE,
  openBroken,
  replay,
} from './replay-fixture.js';

let stage: Stage;
let ends: Ends;
let blocker: Session;
const workers: WorkerProcess[] = [];

beforeEach(async () => {
  stage = await openStage({ worker: false });
  ends = await openBroken(900, 1_200);
  blocker = await openSession({
    url: ends.source.url,
    role: 'source',
    applicationName: 'blocker',
    readOnly: false,
  });
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  await blocker?.close();
  await stage?.stop();
  await ends?.drop();
});

const file = () => ({ file: jobFile(ends, BROKEN_RULES) });

async function startWorker(): Promise<WorkerProcess> {
  const worker = new WorkerProcess(stage, ends);
  workers.push(worker);
  await worker.ready();
  return worker;
}

/** A failed run whose rows were mended, and whose replay will stand still between its two tables. */
async function readyToReplay(): Promise<string> {
  const handle = await stage.start('crm', file());
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  await query(blocker, 'BEGIN');
  await query(blocker, 'LOCK TABLE public.visit IN ACCESS EXCLUSIVE MODE');
  return runOf(handle);
}

const replayed = (run: string) =>
  ask(
    ends.destination,
    `SELECT count(*) AS rows FROM lethe.quarantine WHERE run = $1 AND outcome = 'copied'`,
    [run],
  ).then(([row]) => Number(row?.rows));

async function expectWhole(run: string, catalog: readonly string[]): Promise<void> {
  const [state] = await ask(ends.destination, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
  expect(state).toEqual({ state: 'complete' });
  expect(await replayed(run)).toBe(7);
  expect(await inside(ends.destination, catalogText)).toEqual(catalog);
  const before = await contents(ends);
  // A new run of the same job gives the same rows.
  await (await stage.start('crm', file())).result();
  expect(before).toEqual(await contents(ends));
}

it('a replay whose worker is killed goes on on another one, and copies nothing twice', async () => {
  const first = await startWorker();
  const run = await readyToReplay();
  const catalog = await inside(ends.destination, catalogText);
  const handle = await replay(stage, run, { ...file(), tuning: { heartbeatSeconds: 3 } });
  await until('the first table is replayed', async () => (await replayed(run)) === 6);
  await first.kill();
  await startWorker();
  await query(blocker, 'COMMIT');
  expect((await handle.result()).verdict.ok).toBe(true);
  await expectWhole(run, catalog);
});

it('a replay that was terminated is repeated, and copies only what is left', async () => {
  await startWorker();
  const run = await readyToReplay();
  const catalog = await inside(ends.destination, catalogText);
  const terminated = await replay(stage, run, file());
  await until('the first table is replayed', async () => (await replayed(run)) === 6);
  await terminated.terminate();
  await query(blocker, 'COMMIT');
  const { replayed: rows } = await (await replay(stage, run, file())).result();
  // The terminated one may have finished its transaction before it noticed.
  expect(rows.copied).toBeLessThanOrEqual(1);
  await expectWhole(run, catalog);
});

it('one that is under way keeps another one from beginning', async () => {
  await startWorker();
  const run = await readyToReplay();
  const handle = await replay(stage, run, file());
  await until('the first table is replayed', async () => (await replayed(run)) === 6);
  await expect(replay(stage, run, file())).rejects.toMatchObject({ type: 'DestinationBusy' });
  const args = [{ run, ...file() }];
  const other = await stage.client.workflow.start('replayFailedBatches', {
    ...{ taskQueue: stage.taskQueue, workflowId: `by-hand-${run}`, args },
  });
  await expect(other.result()).rejects.toMatchObject({ cause: { type: 'DestinationBusy' } });
  await query(blocker, 'COMMIT');
  expect((await handle.result()).replayed).toEqual({ copied: 7, gone: 0 });
});
