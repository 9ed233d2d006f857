import { LetheError } from '../../errors/errors.js';
import { DAY_MS } from '../token/day.js';

/** What destruction goes by. Milliseconds since 1970. */
export interface Clocks {
  /** The time that this run is for: when a schedule meant it to start, or now. */
  readonly logical: number;
  /** Of the key store's database. */
  readonly database: number;
  /** Of Temporal's server, or of the machine where no Temporal takes part. */
  readonly temporal: number;
}

/** Longest difference of two clocks. Milliseconds. */
const TOLERANCE_MS = 5 * 60_000;
/** Longest way from the last run that needs no confirmation. Milliseconds. */
const STEP_MS = 7 * DAY_MS;

/**
 * Keys whose time ends at or before the cutoff are due: the earliest of all clocks, so that none alone can destroy a
 * living key.
 *
 * @param lastCutoff Of the last recorded run, or the store's beginning.
 * @param confirmed A person said that the way from the last run is right.
 * @throws LetheError `ClocksDiffer`, or `Unconfirmed` when the cutoff lies more than seven days after the last one.
 */
export function decideCutoff(clocks: Clocks, lastCutoff: number, confirmed = false): number {
  const { logical, database, temporal } = clocks;
  if (![logical, database, temporal].every(Number.isFinite))
    throw new LetheError('RetentionInvalid', 'A clock of the destruction is no time.');
  const apart = Math.abs(database - temporal);
  if (apart > TOLERANCE_MS) {
    throw new LetheError(
      'ClocksDiffer',
      `The clocks of the key store's database and of this side are ${Math.round(apart / 1000)} s apart, more than ${TOLERANCE_MS / 1000} s: nothing is destroyed until they agree. Check NTP on both.`,
    );
  }
  const cutoff = Math.min(logical, database, temporal);
  if (cutoff - lastCutoff > STEP_MS && !confirmed) {
    const days = Math.floor((cutoff - lastCutoff) / DAY_MS);
    throw new LetheError(
      'Unconfirmed',
      `The last destruction was ${days} days ago, more than 7: a clock may have jumped. If the time is right, confirm it: lethe retention destroy --confirm-gap, or start destroyDayKeys with {"confirmGap": true}.`,
      { days },
    );
  }
  return cutoff;
}
