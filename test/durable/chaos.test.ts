import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SyncHandle } from '../../workers/runs.js';
import { draw, World } from './chaos.js';
import { type Copy, expectWholeLedger, readCopy } from './compare.js';
import { ask, failureOf, pause } from './fixture.js';
import { SEED, seeded } from './random.js';
import { expectNoSecrets } from './secrets.js';

/*
 * Everything that can break breaks while runs go on: `npm run chaos -- --minutes 10 --seed 7`. With the tests, one run
 * with a seed that does not change. What happens follows from the seed; when it happens, from the machine.
 */

const MINUTES = Number(process.env.LETHE_CHAOS_MINUTES ?? 0);
const RUNS = 1;
/** In one run; then it is left to end. */
const DISTURBANCES = 6;
/** How a disturbed run may end; whatever it is, the next one makes it good. */
const ENDS = ['none', 'RunEnded', 'CancelledFailure', 'TerminatedFailure', 'Unreachable', 'SnapshotLost'];

let world: World;
let before: Copy;
let calm: Copy;

beforeAll(async () => {
  world = await World.open();
  before = await readCopy(world.ends);
  await (await world.start()).result();
  calm = await readCopy(world.ends);
  expect(calm.catalog).toEqual(before.catalog);
}, 300_000);
afterAll(() => world?.close(), 120_000);

it(
  'whatever breaks, a run that ends well is whole, and the next one mends what another left',
  async () => {
    const random = seeded(SEED);
    const deadline = Date.now() + MINUTES * 60_000;
    const seen = new Map<string, number>();
    let whole = 0;
    for (let run = 0; run < RUNS || Date.now() < deadline; run++) {
      const handle = await world.start();
      await disturb(handle, random, seen);
      if (await endsWell(handle)) whole += 1;
    }
    if (!(await endsWell(await world.start())))
      throw new Error('A run that nobody disturbed did not end well.');
    const list = [...seen].map(([name, count]) => `${count} × ${name}`).join(', ');
    console.log(`seed ${SEED}: ${whole} disturbed runs ended well; ${list}`);
    const logs = world.logs.map(({ log }) => log);
    await expectNoSecrets(world.stage, [world.ends], logs);
  },
  600_000 + MINUTES * 120_000,
);

async function disturb(handle: SyncHandle, random: () => number, seen: Map<string, number>): Promise<void> {
  let over = false;
  const ended = handle
    .result()
    .catch(() => undefined)
    .finally(() => {
      over = true;
    });
  for (let n = 0; n < DISTURBANCES && !over; n++) {
    await Promise.race([ended, pause(200 + random() * 1_500)]);
    if (over) return;
    const disturbance = draw(random);
    seen.set(disturbance.name, (seen.get(disturbance.name) ?? 0) + 1);
    await disturbance.run(world, handle, random);
  }
}

/** Waits for its end. Whole, nothing twice and everything back, or an end that is in order while things break. */
async function endsWell(handle: SyncHandle): Promise<boolean> {
  const { type, message } = await failureOf(handle);
  expect(ENDS, `${type}: ${message}`).toContain(type);
  if (type !== 'none') return false;
  const { run } = await handle.result();
  await expectWholeLedger(world.ends, run);
  expect(await readCopy(world.ends)).toEqual(calm);
  const owed = await ask(
    world.ends.destination,
    `SELECT object_name FROM lethe.ddl WHERE state <> 'restored'`,
  );
  expect(owed).toEqual([]);
  return true;
}
