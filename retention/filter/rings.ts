import type { RingRequest } from '../keys/policy.js';
import type { RingSource } from '../keys/source.js';
import type { Day } from '../token/day.js';
import type { Ring } from '../token/ring.js';
import type { MissingDay } from './transform.js';

/** Milliseconds after which the key store is asked whether rings still hold. */
const CHECK_MS = 30_000;

/** Rings of a key store, renewed when it says that they changed. */
export class RingFeed {
  #rings: readonly Ring[] = [];
  #version = 0;
  #epoch: string | undefined;
  #checked = Number.NEGATIVE_INFINITY;
  readonly #asked = new Set<string>();
  #turn: Promise<void> = Promise.resolve();

  /** @param now Milliseconds of a clock that only goes on. */
  constructor(
    private readonly source: RingSource,
    private readonly request: RingRequest,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The rings of now; at most half a minute old. */
  async current(): Promise<{ readonly rings: readonly Ring[]; readonly version: number }> {
    if (this.now() - this.#checked >= CHECK_MS) {
      const epoch = await this.source.epoch();
      if (epoch !== this.#epoch) {
        // A window that grew, or a hold that ended, may have opened days that were refused before.
        this.#asked.clear();
        await this.#read(epoch);
      }
      this.#checked = this.now();
    }
    return { rings: this.#rings, version: this.#version };
  }

  /** Has the keys of days made, once each. Days that stay without one are for the sealer to refuse. */
  ensure(missing: readonly MissingDay[]): Promise<void> {
    // One after the other: who finds a day asked for already must find its key too.
    const turn = this.#turn.then(() => this.#ensure(missing));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #ensure(missing: readonly MissingDay[]): Promise<void> {
    const wanted = new Map<string, Day[]>();
    for (const { policy, day } of missing) {
      if (this.#asked.has(`${policy} ${day}`)) continue;
      this.#asked.add(`${policy} ${day}`);
      wanted.set(policy, [...(wanted.get(policy) ?? []), day]);
    }
    if (wanted.size === 0) return;
    for (const [policy, days] of wanted) await this.source.ensureDayKeys(policy, days);
    await this.#read(await this.source.epoch());
  }

  /** The epoch was read before the rings: what changes in between is found at the next look. */
  async #read(epoch: string): Promise<void> {
    this.#rings = await this.source.rings(this.request);
    this.#epoch = epoch;
    this.#version++;
  }
}
