import { DAY_MS, type Day, dateOf } from '../../retention/token/day.js';
import type { Ring } from '../../retention/token/ring.js';

/** A key that opens at any time: of a ring whose time is simulated. */
const ALWAYS = 65_535;
/** A key for which the ring has to be asked. */
const ASK = 0;

/**
 * What hands rings to `lethe.reveal` and `lethe.seal`: settings for a session's startup packet (`SessionOptions.startup`,
 * libpq's PGOPTIONS), which servers do not log. Never send them as SQL: statements and bound values are logged.
 *
 * A session has at most about 9,000 bytes of them, some 80 days.
 */
export function ringSettings(rings: Iterable<Ring>): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const ring of rings) {
    const { policy, asOf, first, window, gone, keys, simulated } = ring;
    const days = gone.map(dateOf).join('+');
    settings[`lethe.r_${policy}`] = [dateOf(asOf), dateOf(first), simulated ? '' : window, days].join(',');
    for (const [day, key] of keys) {
      const last = Buffer.alloc(2);
      last.writeUInt16BE(lastDay(ring, day));
      settings[`lethe.k_${policy}${dateOf(day)}`] = Buffer.concat([key, last]).toString('base64url');
    }
  }
  return settings;
}

/** The last day that a key opens anything on, counted from 2000-01-01. */
function lastDay({ asOf, first, window, gone, simulated }: Ring, day: Day): number {
  if (day > asOf || day < first || gone.includes(day)) return ASK;
  if (simulated || window === undefined) return ALWAYS;
  const number = (Date.parse(day) - Date.parse('2000-01-01')) / DAY_MS;
  return Math.min(number + window, ALWAYS);
}
