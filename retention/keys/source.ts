import type { Day } from '../token/day.js';
import type { Ring } from '../token/ring.js';
import type { RingRequest } from './policy.js';

/** Where readers and sealers get their rings from: a key store, as they see it. */
export interface RingSource {
  /** Changes whenever a ring that was handed out may no longer be right: readers look at it every 60 s or less. */
  epoch(): Promise<string>;
  /** One ring a policy. Holds keys: never into a log, a history or an error. */
  rings(request?: RingRequest): Promise<readonly Ring[]>;
  /**
   * Makes the keys of days that a sealer needs, where they are missing and neither destroyed nor outside the window, and
   * gives back the days that can be sealed for now.
   */
  ensureDayKeys(policy: string, days: readonly Day[]): Promise<readonly Day[]>;
  close(): Promise<void>;
}
