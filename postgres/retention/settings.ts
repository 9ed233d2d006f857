import { dateOf } from '../../retention/token/day.js';
import type { Ring } from '../../retention/token/ring.js';

/**
 * What hands rings to `lethe.reveal` and `lethe.seal`: settings for a session's startup packet (`SessionOptions.startup`,
 * libpq's PGOPTIONS), which servers do not log. Never send them as SQL: statements and bound values are logged.
 *
 * A session has at most about 9,000 bytes of them, some 80 days.
 */
export function ringSettings(rings: Iterable<Ring>): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const { policy, asOf, first, window, gone, keys, simulated } of rings) {
    const days = gone.map(dateOf).join('+');
    settings[`lethe.r_${policy}`] = [dateOf(asOf), dateOf(first), simulated ? '' : window, days].join(',');
    for (const [day, key] of keys) {
      settings[`lethe.k_${policy}${dateOf(day)}`] = Buffer.from(key).toString('base64url');
    }
  }
  return settings;
}
