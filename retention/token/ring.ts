import { createHmac } from 'node:crypto';
import { LetheError } from '../../errors/errors.js';
import { addDays, DAY_MS, type Day, dateOf, dayAt, requireDay } from './day.js';
import { requirePolicy } from './format.js';

/** What a reader gets of one policy. */
export interface Ring {
  /** Two characters of a–z and 0–9. */
  readonly policy: string;
  /** The day that it was made for. */
  readonly asOf: Day;
  /** The oldest day that may still be read. */
  readonly first: Day;
  /** Days that a value stays readable; left out in a simulated ring only. */
  readonly window?: number;
  /**
   * Days whose keys are destroyed or held. Readers need those from `first` on; sealing inside strings needs all of
   * them, or it seals old tokens again.
   */
  readonly gone: readonly Day[];
  /** 64 bytes a day: Kx, then Km. See `dayKeys`. */
  readonly keys: ReadonlyMap<Day, Uint8Array>;
  /** True where time is what the ring says, not the clock. */
  readonly simulated?: boolean;
}

/**
 * Kx ‖ Km (64 bytes) of a policy's day key (32 bytes): what a ring holds.
 * Throws `RetentionInvalid` where key, policy or day are none.
 */
export function dayKeys(dayKey: Uint8Array, policy: string, day: Day): Buffer {
  if (dayKey.length !== 32) throw new LetheError('RetentionInvalid', 'A day key has 32 bytes.');
  const info = requirePolicy(policy) + dateOf(requireDay(day, 'The day of a key'));
  const derive = (what: string) => createHmac('sha256', dayKey).update(`lethe/1/${what}${info}`).digest();
  return Buffer.concat([derive('xor'), derive('mac')]);
}

/** Most answers that are remembered. */
const REMEMBERED = 4_096;

/** The rings of a reader, one a policy. What a ring holds is read once: a new ring needs a new keyring. */
export class Keyring {
  private readonly rings = new Map<string, CheckedRing>();
  private date = -1;
  private day: Day = '';
  /** What was found today. */
  private readonly found = new Map<string, Uint8Array | 'expired' | 'noKey'>();

  /**
   * @param now Milliseconds since 1970; default the clock.
   * Throws `RetentionInvalid` where a ring has a mistake or two are of one policy.
   */
  constructor(
    rings: Iterable<Ring>,
    private readonly now: () => number = Date.now,
  ) {
    for (const ring of rings) {
      if (this.rings.has(requirePolicy(ring.policy)))
        throw new LetheError('RetentionInvalid', `There are two rings of policy ${ring.policy}: give one.`);
      this.rings.set(ring.policy, checked(ring));
    }
  }

  /** What the clock says, for whoever keeps answers of `find`: they are good for one day. */
  today(): Day {
    const now = this.now();
    const date = Math.floor(now / DAY_MS);
    if (date !== this.date) {
      this.date = date;
      this.day = dayAt(now);
      this.found.clear();
    }
    return this.day;
  }

  /** The keys of a day (64 bytes), or why there are none for a reader. */
  find(policy: string, day: Day): Uint8Array | 'expired' | 'noKey' {
    const today = this.today();
    const id = `${policy} ${day}`;
    let answer = this.found.get(id);
    if (answer === undefined) {
      answer = this.search(policy, day, today);
      if (this.found.size === REMEMBERED) this.found.clear();
      this.found.set(id, answer);
    }
    return answer;
  }

  private search(policy: string, day: Day, today: Day): Uint8Array | 'expired' | 'noKey' {
    const ring = this.rings.get(policy);
    if (!ring) return 'noKey';
    const first = ring.window === undefined ? ring.first : later(ring.first, addDays(today, -ring.window));
    if (day < first || ring.gone.has(day)) return 'expired';
    if (day > (ring.window === undefined ? ring.asOf : later(ring.asOf, today))) return 'noKey';
    return ring.keys.get(day) ?? 'noKey';
  }

  /** Whether the key of a day was destroyed, or is held, for sure. */
  isGone(policy: string, day: Day): boolean {
    return this.rings.get(policy)?.gone.has(day) ?? false;
  }
}

interface CheckedRing {
  readonly asOf: Day;
  readonly first: Day;
  /** Undefined where the ring is simulated. */
  readonly window: number | undefined;
  readonly gone: ReadonlySet<Day>;
  readonly keys: ReadonlyMap<Day, Uint8Array>;
}

function checked(ring: Ring): CheckedRing {
  const { asOf, first, window, gone, keys } = ring;
  const what = `of the ring of policy ${ring.policy}`;
  requireDay(asOf, `asOf ${what}`);
  requireDay(first, `first ${what}`);
  for (const day of gone) requireDay(day, `A gone day ${what}`);
  for (const [day, key] of keys) {
    requireDay(day, `The day of a key ${what}`);
    if (key.length !== 64)
      throw new LetheError('RetentionInvalid', `Each key ${what} has 64 bytes: Kx and Km, see dayKeys.`);
  }
  if (!ring.simulated && !(Number.isInteger(window) && window! > 0))
    throw new LetheError('RetentionInvalid', `window ${what} is a number of days, 1 or more.`);
  return {
    asOf,
    first,
    window: ring.simulated ? undefined : window,
    gone: new Set(gone),
    keys: new Map(keys),
  };
}

function later(a: Day, b: Day): Day {
  return a > b ? a : b;
}
