import { expect } from 'vitest';
import type { KeyStore } from '../../postgres/keystore/open.js';
import { fileMasters } from '../../retention/keys/masters/file.js';
import { unwrapKey } from '../../retention/keys/wrapping.js';
import type { Day } from '../../retention/token/day.js';
import { Revealer } from '../../retention/token/revealer.js';
import { Keyring } from '../../retention/token/ring.js';
import { sealOn } from '../engine/keystore-fixture.js';
import { ask } from './fixture.js';
import { type Keys, masterBytes } from './keys-fixture.js';

interface Sealed {
  readonly policy: string;
  readonly day: Day;
  readonly token: string;
}

/** What was sealed, and what has to come of it. */
export class Book {
  private readonly sealed: Sealed[] = [];
  private readonly held = new Set<string>();
  private readonly secrets = new Set<string>();

  private readonly store: KeyStore;

  /** @param window Days of policy `ip`; those of `us` are 30. */
  constructor(
    private readonly keys: Keys,
    private readonly window: number,
  ) {
    this.store = keys.store;
  }

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
    const rings = await Promise.all([this.store.rings(), this.store.rings({ actor: 'counsel' })]);
    const [everybody, counsel] = rings.map((given) => new Revealer(new Keyring(given))) as [
      Revealer,
      Revealer,
    ];
    for (const { policy, day: date, token } of this.sealed) {
      const windowDays = policy === 'ip' ? this.window : 30;
      const lives = Date.parse(`${date}T00:00:00Z`) + windowDays * 86_400_000 > now;
      const about = `${policy} ${date} at ${new Date(now).toISOString()}`;
      expect([about, everybody.open(token).outcome]).toEqual([about, lives ? 'value' : 'expired']);
      const mine = lives || this.held.has(`${policy} ${date}`);
      expect([about, counsel.open(token).outcome]).toEqual([about, mine ? 'value' : 'expired']);
    }
  }

  /** Notes every secret that there is now. */
  async note(): Promise<void> {
    const masters = fileMasters(this.keys.masters);
    for (const bytes of await masterBytes(this.keys)) this.secrets.add(bytes);
    for (const row of await ask(
      this.keys.database,
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

  /** No secret, in any form, stands in a text. `least`: so many are known. */
  expectNoneIn(texts: readonly string[], least = 1): void {
    const forms = [...this.secrets].flatMap((hex) => {
      const bytes = Buffer.from(hex, 'hex');
      return [hex, bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
    });
    expect(forms.length).toBeGreaterThanOrEqual(3 * least);
    for (const text of texts) expect(forms.find((form) => text.includes(form))).toBeUndefined();
  }
}

/** What `verify` finds wrong with a key store. */
export async function failedChecks({ store }: Keys): Promise<string[]> {
  return (await store.verify()).filter(({ state }) => state === 'failed').map(({ says }) => says);
}

/** While a destruction is under way, too. */
export async function expectReceipts({ store }: Keys): Promise<void> {
  const found = (await store.verify()).find(({ check }) => check === 'receipts');
  expect(found).toMatchObject({ state: 'ok' });
}
