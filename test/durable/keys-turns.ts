import { openSession, query, type Session } from '../../postgres/session.js';
import { STEPS, type Step } from '../../retention/keys/destruction.js';
import { until } from './fixture.js';
import type { Keys } from './keys-fixture.js';

const LOCK = `hashtext('lethe_keys/destroy')`;
const LONG_MS = 300_000;

/**
 * Lets a destruction go on one activity at a time, with nothing in the product that knows of it: each activity waits for the
 * one lock of destroyers, which we hold between any two of them.
 */
export class Turns {
  private constructor(private readonly session: Session) {}

  /** From now on no destroyer goes on without a turn. */
  static async take(keys: Keys): Promise<Turns> {
    const session = await openSession({
      url: keys.database.url,
      role: 'key store',
      applicationName: 'test:turns',
    });
    await query(session, `SELECT pg_advisory_lock(${LOCK})`);
    return new Turns(session);
  }

  /** Waits until an activity stands at the lock: whatever was before it is recorded. */
  async someoneWaits(): Promise<void> {
    await until(
      'a destroyer waits',
      async () => {
        const [row] = await query(
          this.session,
          `SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database
           WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted AND l.objsubid = 1
             AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtext('lethe_keys/destroy')::bigint`,
        );
        return row?.n !== '0';
      },
      LONG_MS,
    );
  }

  /** Lets whoever waits have its turn, and stands in line behind it. */
  async give(): Promise<void> {
    await this.someoneWaits();
    await query(this.session, `SELECT pg_advisory_unlock(${LOCK}), pg_advisory_lock(${LOCK})`);
  }

  /** Gives turns until a destruction has recorded a step, and somebody waits to go on from there. */
  async until(step: Step): Promise<void> {
    while ((await this.step()) !== step) await this.give();
    await this.someoneWaits();
  }

  /** The last step of the newest destruction. */
  private async step(): Promise<Step | undefined> {
    const [row] = await query(
      this.session,
      'SELECT step FROM lethe_keys.destruction ORDER BY id DESC LIMIT 1',
    );
    return STEPS.find((step) => step === row?.step);
  }

  /** Everybody goes on as they like. */
  async end(): Promise<void> {
    await this.session.close();
  }
}
