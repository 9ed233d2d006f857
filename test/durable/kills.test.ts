import { afterAll, beforeAll, expect, it } from 'vitest';
import { progressOf } from '../../workers/runs.js';
import { type Calm, expectSame, runCalm } from './compare.js';
import { CRM_RULES } from './crm.js';
import {
  ask,
  committed,
  type Ends,
  jobFile,
  openCrm,
  openStage,
  pause,
  type Stage,
  until,
} from './fixture.js';
import { WorkerProcess } from './processes.js';
import { SEED, seeded } from './random.js';
import { expectNoSecrets } from './secrets.js';
import { whileCopyWaits } from './stuck.js';

const KILLS = 20;
const SMALL_BATCHES = CRM_RULES.replace('batchRows: 1000', 'batchRows: 200').replace(
  'concurrency: 4',
  'concurrency: 2',
);
const LATE = ['settling', 'validating', 'ended'];
const TUNING = { heartbeatSeconds: 3 };

let stage: Stage;
let calm: Calm;
beforeAll(async () => {
  stage = await openStage();
  calm = await runCalm(stage);
});
afterAll(async () => {
  await stage?.stop();
  await calm?.ends.drop();
});

it(`a run whose workers are killed ${KILLS} times ends as one that nobody disturbed`, async () => {
  const random = seeded(SEED);
  const ends = await openCrm(calm.ends.key);
  const far = await openStage({ worker: false });
  const spawn = () => new WorkerProcess(far, ends);
  const workers = [spawn(), spawn()];
  const gone: WorkerProcess[] = [];
  const replace = async (which = Math.floor(random() * workers.length)) => {
    const victim = workers.splice(which, 1)[0]!;
    await victim.kill();
    gone.push(victim);
    workers.push(spawn());
  };
  await Promise.all(workers.map((worker) => worker.ready()));
  const handle = await far.start('crm', { file: jobFile(ends, SMALL_BATCHES), tuning: TUNING });
  let over = false;

  const result = handle.result().finally(() => {
    over = true;
  });
  result.catch(() => undefined);
  await until('rows move', async () => (await committed(ends)) > 0);
  // Whichever of the two is in the middle of a batch.
  await whileCopyWaits(ends.destination, async () => {
    await replace(0);
    await replace(0);
  });
  await Promise.all(workers.map((worker) => worker.ready()));
  for (let kills = 2; kills < KILLS; kills += 1) {
    const early = kills < 5;
    await (early ? pause(random() * 1_500) : someBatches(ends, 1 + Math.floor(random() * 8)));
    // Else the other worker would be through with everything before its companion is back.
    const first = !early && random() < 0.8;
    if (first) await handle.signal('pause');
    await pause(random() * 120);
    expect(over, `the run ended after ${kills} kills`).toBe(false);
    await replace();
    if (!first) await handle.signal('pause');
    await workers.at(-1)!.ready();
    await handle.signal('resume');
  }
  // A partition that lost its worker several times is tried again after up to half a minute.
  const loaded = async () => over || LATE.includes((await progressOf(handle))?.phase ?? '');
  await until('all is loaded', loaded, 300_000);
  await replace();
  const { run, verdict } = await result;
  expect(verdict.ok).toBe(true);
  await expectSame(calm, ends, run);
  const [again] = await ask(ends.destination, 'SELECT count(*) AS n FROM lethe.batch WHERE attempt > 1');
  expect(Number(again?.n)).toBeGreaterThan(0);
  await Promise.all(workers.map((worker) => worker.stop()));
  const logs = [...gone, ...workers].map(({ log }) => log);
  await expectNoSecrets(far, [ends], logs);
  await far.stop();
  await ends.drop();
  // Starting a worker takes a second or two, and many times that on a busy machine.
}, 600_000);

/** Waits until so many more batches are committed, but not for long. */
async function someBatches(ends: Ends, more: number): Promise<void> {
  const goal = (await committed(ends)) + more;
  const deadline = Date.now() + 3_000;
  while (Date.now() < deadline && (await committed(ends)) < goal) await pause(5);
}
