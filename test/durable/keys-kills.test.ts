import { afterAll, beforeAll, expect, it } from 'vitest';
import { STEPS, type Step } from '../../retention/keys/destruction.js';
import { day } from '../engine/keystore-fixture.js';
import { openStage, type Stage } from './fixture.js';
import { Book, expectReceipts, failedChecks } from './keys-book.js';
import { backfilled, type Keys, openKeys, scheduled, startByHand } from './keys-fixture.js';
import { KillPoint } from './keys-points.js';
import { Turns } from './keys-turns.js';
import { WorkerProcess } from './processes.js';
import { historiesOf } from './secrets.js';

/*
 * Many stores at once whose worker is killed between the work of each step of destruction and its record, and after each
 * record, beside generators. Then 45 days of one as its schedules run it, where destruction is stopped between every two steps,
 * and generators, late data and holds come in between. At all of these points what lives opens, and what is due does not.
 */

const DAYS = 45;
const WINDOW = 3;
const START = Date.parse(`${day(0)}T00:30:00Z`);
const at = (days: number) => START + days * 86_400_000;
const TUNING = { heartbeatSeconds: 3, attempts: 200, retrySeconds: 1 };
/** Steps after which a destruction is stopped: the last one has nothing after it. */
const GAPS = STEPS.slice(0, -1);

let stage: Stage;
let keys: Keys;
let points: KillPoint[];
let worker: WorkerProcess;
const logs: string[] = [];

beforeAll(async () => {
  stage = await openStage({ worker: false });
  [keys, ...points] = await Promise.all([
    openKeys({ start: START, window: WINDOW }),
    ...STEPS.slice(1).map((step) => KillPoint.open(step)),
  ]);
  worker = spawn();
});
afterAll(async () => {
  await worker?.stop();
  await stage?.stop();
  await Promise.all([keys, ...(points ?? []).map((point) => point.keys)].map((own) => own?.drop()));
});

/** A worker takes its place. */
async function killWorker(): Promise<void> {
  await worker.kill();
  logs.push(worker.log);
  worker = spawn();
}

function spawn(): WorkerProcess {
  const stores = [keys, ...points.map((point) => point.keys)];
  return new WorkerProcess(stage, { env: Object.assign({}, ...stores.map(({ env }) => env)) });
}

/** Where the destruction of a day is stopped, to be looked at, and what comes in between there. */
interface Stops {
  /** Between two steps. */
  readonly gap?: Step;
  /** A hold comes in time. */
  readonly hold?: Step;
  /** A hold comes too late. */
  readonly lateHold?: Step;
}

function stopsOf(d: number): Stops {
  const gap = GAPS[d - WINDOW - 2];
  return {
    ...(gap && { gap }),
    ...(d % 18 === 7 && { hold: 'created' }),
    ...(d % 18 === 12 && { lateHold: 'verified' }),
  };
}

it('destructions go on whose worker is killed between any step and its record, and after it', async () => {
  const every = (act: (point: KillPoint) => Promise<unknown>) => Promise.all(points.map(act));
  await every((point) => point.start(stage, TUNING));
  // Who reads waits for the step meanwhile.
  await every((point) => point.goTo('acted'));
  await every((point) => point.generate());
  await killWorker();
  await every((point) => point.wasLost());
  await every((point) => point.check());
  await every((point) => point.goTo('recorded'));
  await every((point) => point.generate());
  await killWorker();
  await every((point) => point.check());
  await every((point) => point.end());
  const texts = [...(await historiesOf(stage)), ...logs, worker.log];
  for (const { book } of points) book.expectNoneIn(texts);
}, 600_000);

it(`${DAYS} days pass, and each day's keys go when they are due and not before`, async () => {
  const { store } = keys;
  const book = new Book(keys, WINDOW);
  await scheduled(stage, keys, TUNING);
  for (let d = 0; d < DAYS; d += 1) {
    await store.setClock(at(d));
    // Held for a day, and due since.
    for (const { id, from } of (await store.status()).holds) {
      await store.release(id, 'counsel');
      book.release(from);
    }
    // Before today's run: yesterday's keys went on existing, and a reader does not get what is due.
    await book.check(at(d));
    const generate = await backfilled(stage, keys, 'generateDayKeys', at(d) - 25 * 60_000);
    // Keys are there two days ahead: later on it goes on beside the destruction.
    if (d === 0) await generate.result();
    await Promise.all([book.seal('ip', day(d)), book.seal('us', day(d))]);
    await destroyOn(d, book);
    await generate.result();
    const [failed] = await Promise.all([failedChecks(keys), book.check(at(d)), book.note()]);
    expect(failed).toEqual([]);
  }
  const { policies, alarms } = await store.status();
  expect(policies).toMatchObject([
    { id: 'ip', due: 0, overdueSeconds: 0, destroyed: DAYS - WINDOW },
    { id: 'us', due: 0, overdueSeconds: 0, destroyed: DAYS - 30 + LATE },
  ]);
  expect(alarms).toEqual([]);
  book.expectNoneIn([...(await historiesOf(stage)), ...logs, worker.log], DAYS);
}, 3_000_000);

/** Days before the first that `us` gets keys of, as late data comes in, and that are due by the end. */
const LATE = 3;

/** The day's destruction, with what comes in between. */
async function destroyOn(d: number, book: Book): Promise<void> {
  const { store } = keys;
  const { gap, hold, lateHold } = stopsOf(d);
  const stops = GAPS.filter((step) => [gap, hold, lateHold].includes(step));
  const turns = stops.length > 0 ? await Turns.take(keys) : undefined;
  const others: Promise<unknown>[] = [];
  const byHand = { ...keys.ref, tuning: TUNING };
  const destroy = await backfilled(stage, keys, 'destroyDayKeys', at(d));
  const due = day(d - WINDOW);
  try {
    // A second run at the same time, by hand.
    if (d % 5 === 4) others.push((await startByHand(stage, 'destroyDayKeys', byHand)).result());
    for (const step of stops) {
      await turns?.until(step);
      others.push((await startByHand(stage, 'generateDayKeys', byHand)).result());
      await book.check(at(d));
      await expectReceipts(keys);
      // Late data: days of which nobody had a key.
      if (step === 'destroyed')
        expect(await store.ensureDayKeys('us', [day(-1), day(-2), day(-3)])).toHaveLength(LATE);
      if (step === hold) {
        await store.hold({ policy: 'ip', from: due, actor: 'counsel', reason: 'in time' });
        book.hold(due);
        await book.check(at(d));
      }
      if (step === lateHold) {
        const late = await store.hold({ policy: 'ip', from: due, actor: 'counsel', reason: 'too late' });
        expect(late).toMatchObject({ days: [], gone: [due] });
        await store.release(late.hold, 'counsel');
      }
    }
  } finally {
    await turns?.end();
  }
  const [outcome] = (await destroy.result()) as { held: object[] }[];
  expect(outcome?.held).toEqual(hold ? [{ policy: 'ip', day: due }] : []);
  await Promise.all(others);
}
