import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KeyStore } from '../../postgres/keystore/open.js';
import { STEPS, type Step } from '../../retention/keys/destruction.js';
import { fileMasters } from '../../retention/keys/masters/file.js';
import { unwrapKey } from '../../retention/keys/wrapping.js';
import type { Day } from '../../retention/token/day.js';
import { Revealer } from '../../retention/token/revealer.js';
import { Keyring } from '../../retention/token/ring.js';
import { day, sealOn } from '../engine/keystore-fixture.js';
import { ask, openStage, type Stage } from './fixture.js';
import { backfilled, type Keys, masterBytes, openKeys, scheduled, startByHand } from './keys-fixture.js';
import { Turns } from './keys-turns.js';
import { WorkerProcess } from './processes.js';
import { historiesOf } from './secrets.js';

/*
 * 45 days of a key store as its schedules run it. Worker processes are killed between every two steps of destruction, and
 * generators, late data and holds come in between; at each of these points what lives opens, and what is due does not.
 */

const DAYS = 45;
const WINDOW = 3;
const START = Date.parse(`${day(0)}T00:30:00Z`);
const at = (days: number) => START + days * 86_400_000;
const TUNING = { heartbeatSeconds: 3 };
/** Steps after which a worker may be killed: the last one has nothing after it. */
const GAPS = STEPS.slice(0, -1);

let stage: Stage;
let keys: Keys;
let worker: WorkerProcess;
const logs: string[] = [];

beforeAll(async () => {
  stage = await openStage({ worker: false });
  keys = await openKeys({ start: START, window: WINDOW });
  worker = new WorkerProcess(stage, keys);
});
afterAll(async () => {
  await worker.stop();
  await stage.stop();
  await keys.drop();
});

async function killWorker(): Promise<void> {
  await worker.kill();
  logs.push(worker.log);
  worker = new WorkerProcess(stage, keys);
}

interface Sealed {
  readonly policy: string;
  readonly day: Day;
  readonly token: string;
}

/** What was sealed, and what has to come of it. */
class Book {
  private readonly sealed: Sealed[] = [];
  private readonly held = new Set<string>();
  private readonly secrets = new Set<string>();

  constructor(private readonly store: KeyStore) {}

  async seal(policy: string, date: Day): Promise<void> {
    this.sealed.push({ policy, day: date, token: await sealOn(this.store, policy, date) });
  }

  hold(date: Day): void {
    this.held.add(`ip ${date}`);
  }

  release(date: Day): void {
    this.held.delete(`ip ${date}`);
  }

  /** Every token opens while its day's window lasts, and not after; held days open for the actor of the hold. */
  async check(now: number): Promise<void> {
    const everybody = new Revealer(new Keyring(await this.store.rings()));
    const counsel = new Revealer(new Keyring(await this.store.rings({ actor: 'counsel' })));
    for (const { policy, day: date, token } of this.sealed) {
      const windowDays = policy === 'ip' ? WINDOW : 30;
      const lives = Date.parse(`${date}T00:00:00Z`) + windowDays * 86_400_000 > now;
      const about = `${policy} ${date} at ${new Date(now).toISOString()}`;
      expect([about, everybody.open(token).outcome]).toEqual([about, lives ? 'value' : 'expired']);
      const mine = lives || this.held.has(`${policy} ${date}`);
      expect([about, counsel.open(token).outcome]).toEqual([about, mine ? 'value' : 'expired']);
    }
  }

  /** Notes every secret that there is now. */
  async note(): Promise<void> {
    const masters = fileMasters(keys.masters);
    for (const bytes of await masterBytes(keys)) this.secrets.add(bytes);
    for (const row of await ask(
      keys.database,
      `SELECT policy, day, (extract(epoch FROM destroy_at) * 1000)::bigint AS destroy_at, master, wrapped FROM lethe_keys.day_key`,
    )) {
      const wrapped = Buffer.from(row.wrapped!.slice(2), 'hex');
      const label = {
        policy: row.policy!,
        day: row.day!,
        destroyAt: Number(row.destroy_at),
        master: row.master!,
      };
      this.secrets.add((await unwrapKey(masters, wrapped, label)).toString('hex'));
    }
    for (const { keys: given } of await this.store.rings())
      for (const bytes of given.values()) this.secrets.add(Buffer.from(bytes).toString('hex'));
  }

  /** No secret, in any form, stands in a text. */
  expectNoneIn(texts: readonly string[]): void {
    const forms = [...this.secrets].flatMap((hex) => {
      const bytes = Buffer.from(hex, 'hex');
      return [hex, bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
    });
    expect(forms.length).toBeGreaterThan(3 * DAYS);
    for (const text of texts) expect(forms.find((form) => text.includes(form))).toBeUndefined();
  }
}

const failedChecks = async () =>
  (await keys.store.verify()).filter(({ state }) => state === 'failed').map(({ says }) => says);
const receiptsVerify = async () =>
  expect((await keys.store.verify()).find(({ check }) => check === 'receipts')).toMatchObject({
    state: 'ok',
  });

/** Where the destruction of a day is stopped, to be looked at, and what comes in between there. */
interface Stops {
  /** The worker is killed. */
  readonly kill?: Step;
  /** A hold comes in time. */
  readonly hold?: Step;
  /** A hold comes too late. */
  readonly lateHold?: Step;
}

function stopsOf(d: number): Stops {
  const kill = GAPS[d - WINDOW - 2];
  return {
    ...(kill && { kill }),
    ...(d % 18 === 7 && { hold: 'created' }),
    ...(d % 18 === 12 && { lateHold: 'verified' }),
  };
}

it(`${DAYS} days pass, and each day's keys go when they are due and not before`, async () => {
  const { store } = keys;
  const book = new Book(store);
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
    await generate.result();
    await book.seal('ip', day(d));
    await book.seal('us', day(d));
    await destroyOn(d, book);
    await book.check(at(d));
    await book.note();
    expect(await failedChecks()).toEqual([]);
  }
  const { policies, alarms } = await store.status();
  expect(policies).toMatchObject([
    { id: 'ip', due: 0, overdueSeconds: 0, destroyed: DAYS - WINDOW },
    { id: 'us', due: 0, overdueSeconds: 0, destroyed: DAYS - 30 + LATE },
  ]);
  expect(alarms).toEqual([]);
  await worker.stop();
  logs.push(worker.log);
  book.expectNoneIn([...(await historiesOf(stage)), ...logs]);
}, 3_000_000);

/** Days before the first that `us` gets keys of, as late data comes in, and that are due by the end. */
const LATE = 3;

/** The day's destruction, with what comes in between. */
async function destroyOn(d: number, book: Book): Promise<void> {
  const { store } = keys;
  const { kill, hold, lateHold } = stopsOf(d);
  const stops = GAPS.filter((step) => [kill, hold, lateHold].includes(step));
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
      if (step === kill) await killWorker();
      await book.check(at(d));
      await receiptsVerify();
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
