import { LetheError } from '../../errors/errors.js';
import { type Day, requireDay } from '../../retention/token/day.js';
import { query, type Session } from '../session.js';
import { locked, policyOf, type StoreContext, withStore } from './context.js';
import { writeCopy } from './copy.js';
import { changed } from './rows.js';

export interface HoldRequest {
  readonly policy: string;
  readonly from: Day;
  /** Default: `from` alone. */
  readonly to?: Day;
  /** Who may read the days beyond their window, and answers for the hold. */
  readonly actor: string;
  readonly reason: string;
}

/** A legal hold that was not released. */
export interface Hold {
  readonly id: number;
  readonly policy: string;
  readonly from: Day;
  readonly to: Day;
  readonly actor: string;
  readonly reason: string;
  /** ISO 8601. */
  readonly heldAt: string;
}

export interface Held {
  readonly hold: number;
  /** Days whose keys it keeps. */
  readonly days: readonly Day[];
  /** Days that it came too late for. */
  readonly gone: readonly Day[];
}

/** Keeps the keys of some days from every destruction until it is released. */
export async function holdDays(context: StoreContext, request: HoldRequest): Promise<Held> {
  const { policy, from, to = from, actor, reason } = request;
  requireDay(from, 'The first day of a hold');
  requireDay(to, 'The last day of a hold');
  if (to < from) throw new LetheError('RetentionInvalid', 'The last day of a hold is before its first.');
  if (!actor.trim() || !reason.trim())
    throw new LetheError('RetentionInvalid', 'A hold has an actor and a reason: --actor and --reason.');
  return withStore(context, async (session) => {
    const known = await query(session, 'SELECT 1 AS one FROM lethe_keys.policy WHERE id = $1', [policy]);
    if (known.length === 0) policyOf(context, policy);
    const held = await locked(session, async () => {
      const [row] = await query(
        session,
        `INSERT INTO lethe_keys.hold (id, policy, first_day, last_day, actor, reason)
         VALUES ((SELECT coalesce(max(id), 0) + 1 FROM lethe_keys.hold), $1, $2, $3, $4, $5) RETURNING id`,
        [policy, from, to, actor, reason],
      );
      await changed(session, true);
      return { hold: Number(row?.id), ...(await coveredDays(session, policy, from, to)) };
    });
    await writeCopy(session, context);
    return held;
  });
}

/** Ends a hold; days that are due are destroyed with the next run. */
export async function releaseHold(context: StoreContext, hold: number, actor: string): Promise<Hold> {
  if (!actor.trim()) throw new LetheError('RetentionInvalid', 'Say who releases the hold: --actor.');
  return withStore(context, async (session) => {
    const found = (await readHolds(session)).find(({ id }) => id === hold);
    if (!found)
      throw new LetheError(
        'RetentionInvalid',
        `There is no hold ${hold} that is in force: see \`lethe retention status\`.`,
      );
    await locked(session, async () => {
      await query(
        session,
        'UPDATE lethe_keys.hold SET released_at = clock_timestamp(), released_by = $2 WHERE id = $1 AND released_at IS NULL',
        [hold, actor],
      );
      await changed(session, true);
    });
    await writeCopy(session, context);
    return found;
  });
}

/** Holds in force. */
export async function readHolds(session: Session): Promise<Hold[]> {
  const rows = await query(
    session,
    `SELECT id, policy, first_day, last_day, actor, reason, to_char(held_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS held_at
     FROM lethe_keys.hold WHERE released_at IS NULL ORDER BY id`,
  );
  return rows.map((row) => ({
    id: Number(row.id),
    policy: row.policy!,
    from: row.first_day!,
    to: row.last_day!,
    actor: row.actor!,
    reason: row.reason!,
    heldAt: row.held_at!,
  }));
}

/** @throws LetheError `OnHold` when a hold keeps one of the days of a policy from which tokens are to be rewritten. */
export function refuseHeld(holds: readonly Hold[], policy: string, days: Iterable<Day>): void {
  const all = [...days];
  const hold = holds.find(
    (each) => each.policy === policy && all.some((day) => day >= each.from && day <= each.to),
  );
  if (hold)
    throw new LetheError(
      'OnHold',
      `Hold ${hold.id} keeps days of policy ${policy} (${hold.from} to ${hold.to}) from which tokens of these rows are. Nothing was changed. Release it first: lethe retention release ${hold.id}.`,
    );
}

async function coveredDays(session: Session, policy: string, from: Day, to: Day) {
  const days = async (table: 'day_key' | 'tombstone') =>
    (
      await query(
        session,
        `SELECT day FROM lethe_keys.${table} WHERE policy = $1 AND day BETWEEN $2 AND $3 ORDER BY day`,
        [policy, from, to],
      )
    ).map((row) => row.day!);
  return { days: await days('day_key'), gone: await days('tombstone') };
}
