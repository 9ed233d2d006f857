import type { WorkflowHandle } from '@temporalio/client';
import { expect } from 'vitest';
import { openSession, query, type Session } from '../../postgres/session.js';
import { STEPS, type Step } from '../../retention/keys/destruction.js';
import { day } from '../engine/keystore-fixture.js';
import { ask, type Stage, until } from './fixture.js';
import { Book, expectReceipts, failedChecks } from './keys-book.js';
import { type Keys, openKeys, startByHand } from './keys-fixture.js';
import { Turns } from './keys-turns.js';

const WINDOW = 3;
const START = Date.parse(`${day(0)}T00:30:00Z`);
const NOW = START + WINDOW * 86_400_000;
const LONG_MS = 300_000;

/**
 * A key store of its own, with a day that is due, and the workflow that destroys it, held at one step: where its work is done
 * and not recorded, which the row of the destruction is locked for, and after the record.
 */
export class KillPoint {
  private row: Session | undefined;
  private turn: Promise<void> | undefined;

  /** Starts a generator, which has to end as well. */
  generate!: () => Promise<void>;
  private readonly generators: Promise<unknown>[] = [];
  private turns!: Turns;
  private workflow!: WorkflowHandle;

  private constructor(
    readonly keys: Keys,
    readonly book: Book,
    private readonly step: Step,
  ) {}

  /** @param step After `begun`, which is its own record. */
  static async open(step: Step): Promise<KillPoint> {
    const keys = await openKeys({ start: START, window: WINDOW });
    const { store } = keys;
    const book = new Book(keys, WINDOW);
    await store.generate();
    for (const policy of ['ip', 'us']) await book.seal(policy, day(0));
    await store.setClock(NOW);
    await store.generate();
    for (const policy of ['ip', 'us']) await book.seal(policy, day(WINDOW));
    await book.note();
    return new KillPoint(keys, book, step);
  }

  async start(stage: Stage, tuning: object): Promise<void> {
    this.turns = await Turns.take(this.keys);
    const input = { ...this.keys.ref, tuning };
    this.workflow = await startByHand(stage, 'destroyDayKeys', input);
    this.generate = async () => {
      this.generators.push((await startByHand(stage, 'generateDayKeys', input)).result());
    };
  }

  /** Lets the destruction go on until it has done the step, before or after that is written down. */
  async goTo(where: 'acted' | 'recorded'): Promise<void> {
    if (where === 'recorded') return this.turns.until(this.step);
    await this.turns.until(this.before);
    const { url } = this.keys.database;
    const row = await openSession({ url, role: 'key store', applicationName: 'test:row' });
    this.row = row;
    await query(row, 'BEGIN');
    // Tombstones may still refer to it.
    await query(row, 'SELECT 1 FROM lethe_keys.destruction WHERE ended_at IS NULL FOR NO KEY UPDATE');
    this.turn = this.turns.give();
    await until(`the work of ${this.step} is done`, () => recordWaits(row), LONG_MS);
  }

  /** Whoever did the work is gone, and its record with it. */
  async wasLost(): Promise<void> {
    await this.row?.close();
    await this.turn;
    const [row] = await ask(
      this.keys.database,
      'SELECT step FROM lethe_keys.destruction WHERE ended_at IS NULL',
    );
    expect(row?.step).toBe(this.before);
  }

  private get before(): Step {
    return STEPS[STEPS.indexOf(this.step) - 1]!;
  }

  async check(): Promise<void> {
    await this.book.check(NOW);
    await expectReceipts(this.keys);
  }

  /** The destruction ends, and the due day is gone: nothing else is. */
  async end(): Promise<void> {
    await this.turns.end();
    await Promise.all(this.generators);
    const [outcome] = (await this.workflow.result()) as { destroyed: object[]; held: object[] }[];
    expect(outcome).toMatchObject({ destroyed: [{ policy: 'ip', day: day(0) }], held: [] });
    await this.book.check(NOW);
    await this.book.note();
    expect(await failedChecks(this.keys)).toEqual([]);
    expect(await this.keys.store.status()).toMatchObject({
      alarms: [],
      policies: [
        { id: 'ip', due: 0, destroyed: 1 },
        { id: 'us', due: 0, destroyed: 0 },
      ],
    });
  }
}

/** Whether somebody has done a step's work and is about to write that down. */
async function recordWaits(row: Session): Promise<boolean> {
  await query(row, 'SELECT pg_stat_clear_snapshot()');
  const [waiting] = await query(
    row,
    `SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND query LIKE '%UPDATE lethe_keys.destruction SET step%' AND application_name = 'lethe:keys'`,
  );
  return waiting !== undefined;
}
