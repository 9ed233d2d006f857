import { LetheError } from '../../errors/errors.js';
import { unwrapKey, wrapKey } from '../../retention/keys/wrapping.js';
import type { Day } from '../../retention/token/day.js';
import { query, type Session } from '../session.js';
import { locked, type StoreContext, withStore } from './context.js';
import { writeCopy } from './copy.js';
import { endOf } from './generate.js';
import { changed, readDayKeys, readPolicies, readStore } from './rows.js';

export interface Shrunk {
  /** The window before, in days. */
  readonly from: number;
  readonly to: number;
  /** Days that can be read now, and not any more once the window is shorter. */
  readonly lost: readonly Day[];
  /** Whether it was done, or only looked at. */
  readonly done: boolean;
}

/**
 * Makes a policy's window shorter, for days that have a key as well: their end moves, and those whose end is past then are
 * due. Nothing is done without `confirmed`.
 *
 * @throws LetheError `RetentionInvalid` when the window is not shorter, or the store has no such policy.
 */
export function shrinkWindow(
  context: StoreContext,
  policy: string,
  window: number,
  confirmed = false,
): Promise<Shrunk> {
  return withStore(context, async (session) => {
    const store = await readStore(session, context);
    const from = (await readPolicies(session)).get(policy)?.window;
    if (from === undefined)
      throw new LetheError('RetentionInvalid', `The key store has no policy "${policy}".`);
    if (!Number.isInteger(window) || window < 1 || window >= from) {
      throw new LetheError(
        'RetentionInvalid',
        `The window of policy ${policy} is ${from} days; shrink makes it shorter: give 1 to ${from - 1}. A longer one only needs the retention file and \`lethe retention apply\`.`,
      );
    }
    const rows = await readDayKeys(session, 'k.policy = $1', [policy]);
    const lost = rows
      .filter(({ day, destroyAt }) => destroyAt > store.now && endOf(day, window) <= store.now)
      .map(({ day }) => day);
    if (!confirmed) return { from, to: window, lost, done: false };
    await locked(session, () => moveEnds(session, context, policy, window));
    await writeCopy(session, context);
    return { from, to: window, lost, done: true };
  });
}

/** The end is authenticated with the wrapped key, so each is wrapped again. */
async function moveEnds(
  session: Session,
  context: StoreContext,
  policy: string,
  window: number,
): Promise<void> {
  await query(session, `SELECT id FROM lethe_keys.master WHERE state = 'active' FOR SHARE`);
  await query(session, 'UPDATE lethe_keys.policy SET window_days = $2 WHERE id = $1', [policy, window]);
  for (const row of await readDayKeys(session, 'k.policy = $1', [policy])) {
    const destroyAt = endOf(row.day, window);
    if (destroyAt >= row.destroyAt) continue;
    const key = await unwrapKey(context.masters, row.wrapped, row);
    const wrapped = await wrapKey(context.masters, key, { ...row, destroyAt });
    key.fill(0);
    await query(
      session,
      'UPDATE lethe_keys.day_key SET destroy_at = to_timestamp($3::float8), wrapped = $4 WHERE policy = $1 AND day = $2',
      [policy, row.day, destroyAt / 1000, wrapped],
    );
  }
  await changed(session, true);
}
