import { randomBytes } from 'node:crypto';
import { LetheError } from '../../errors/errors.js';
import { makeCanary } from '../../retention/keys/canary.js';
import { fingerprint, wrapKey } from '../../retention/keys/wrapping.js';
import { addDays, type Day, requireDay } from '../../retention/token/day.js';
import { execute, query, type Session } from '../session.js';
import { locked, policyOf, type StoreContext, withStore } from './context.js';
import { writeCopy } from './copy.js';
import { adoptPolicies } from './create.js';
import { changed, type PolicyRow, readPolicies, readStore } from './rows.js';

/** Keys exist so many days ahead. */
const AHEAD = 2;

/** What a run of generation did. */
export interface Generated {
  /** Day keys that were made. */
  readonly made: number;
  /** Policies that have keys for today and the two days after. */
  readonly policies: readonly string[];
}

/**
 * Makes the keys of today and the two days after for every policy of the file, where they are missing.
 *
 * @param logical The day that the run is for, milliseconds since 1970; a run for an earlier day makes that day's keys as
 *   well, as long as they are inside their window. Default now.
 * @throws LetheError `RetentionInvalid` when a policy's window in the file is shorter than the store's.
 */
export function generateDayKeys(context: StoreContext, logical?: number): Promise<Generated> {
  return withStore(context, async (session) => {
    const store = await readStore(session, context);
    await locked(session, async () => {
      await adoptPolicies(session, context);
      await query(
        session,
        `UPDATE lethe_keys.store SET last_generated = greatest(last_generated, to_timestamp($1::float8))`,
        [store.now / 1000],
      );
    });
    refuseShrunk(context, await readPolicies(session));
    let made = 0;
    const policies = [...context.policies.keys()];
    for (const policy of policies) {
      const first = logical === undefined ? store.now : Math.min(logical, store.now);
      const days = new Set([...daysFrom(first), ...daysFrom(store.now)]);
      made += (await ensure(session, context, policy, [...days])).made;
    }
    await copyChanges(session, context);
    return { made, policies };
  });
}

/** See `RingSource.ensureDayKeys`. */
export async function ensureDayKeys(
  context: StoreContext,
  policy: string,
  days: readonly Day[],
): Promise<readonly Day[]> {
  policyOf(context, policy);
  for (const day of days) requireDay(day, 'The day of a key');
  return withStore(context, async (session) => {
    await ensure(session, context, policy, days);
    await copyChanges(session, context);
    return usable(session, context, policy, days);
  });
}

function daysFrom(time: number): Day[] {
  const today = new Date(time).toISOString().slice(0, 10);
  return Array.from({ length: AHEAD + 1 }, (_, i) => addDays(today, i));
}

/** Those of the days whose committed key may be used now. */
async function usable(
  session: Session,
  context: StoreContext,
  policy: string,
  days: readonly Day[],
): Promise<Day[]> {
  const store = await readStore(session, context);
  const rows = await query(
    session,
    `SELECT day FROM lethe_keys.day_key WHERE policy = $1 AND day = ANY ($2::date[])
       AND destroy_at > to_timestamp($3::float8) ORDER BY day`,
    [policy, days, store.now / 1000],
  );
  return rows.map((row) => row.day!);
}

async function ensure(
  session: Session,
  context: StoreContext,
  policy: string,
  days: readonly Day[],
): Promise<{ made: number }> {
  const wanted = [...new Set(days)].sort();
  if ((await usable(session, context, policy, wanted)).length === wanted.length) return { made: 0 };
  const made = await locked(session, async () => {
    let row = (await readPolicies(session)).get(policy);
    if (!row) {
      await adoptPolicies(session, context);
      row = (await readPolicies(session)).get(policy)!;
    }
    return insertMissing(session, context, row, wanted);
  });
  return { made };
}

/** Under the lock, holding the master: a destruction waits for us, or we see that the master is retiring. */
async function insertMissing(
  session: Session,
  context: StoreContext,
  { id: policy, window, ended }: PolicyRow,
  days: readonly Day[],
): Promise<number> {
  const { now, today } = await readStore(session, context);
  const latest = addDays(today, AHEAD);
  const inWindow = days.filter((day) => day <= latest && endOf(day, window) > now);
  if (ended || inWindow.length === 0) return 0;
  const missing = await query(
    session,
    `SELECT day::date::text AS day FROM unnest($2::date[]) day
     WHERE NOT EXISTS (SELECT FROM lethe_keys.day_key k WHERE k.policy = $1 AND k.day = day.day)
       AND NOT EXISTS (SELECT FROM lethe_keys.tombstone t WHERE t.policy = $1 AND t.day = day.day) ORDER BY 1`,
    [policy, inWindow],
  );
  if (missing.length === 0) return 0;
  const master = await activeMaster(session);
  let made = 0;
  for (const { day } of missing) {
    const key = randomBytes(32);
    const label = { policy, day: day!, destroyAt: endOf(day!, window), master };
    made += await execute(
      session,
      `INSERT INTO lethe_keys.day_key (policy, day, destroy_at, master, wrapped, fingerprint, canary)
       VALUES ($1, $2, to_timestamp($3::float8), $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
      [
        policy,
        day,
        label.destroyAt / 1000,
        master,
        await wrapKey(context.masters, key, label),
        fingerprint(key),
        makeCanary(key, policy, day!),
      ],
    );
    key.fill(0);
  }
  if (made > 0) await changed(session, true);
  return made;
}

/** The master that new keys are wrapped under; it cannot retire before this transaction ends. */
export async function activeMaster(session: Session): Promise<string> {
  const [row] = await query(
    session,
    `SELECT id FROM lethe_keys.master WHERE state = 'active' ORDER BY created_at DESC, id LIMIT 1 FOR SHARE`,
  );
  if (row) return row.id!;
  throw new LetheError(
    'DayKeyMissing',
    'No master key is active at this moment: a destruction goes on. Try again.',
  );
}

/** Until both copies have a key, it is not used. */
async function copyChanges(session: Session, context: StoreContext): Promise<void> {
  const { revision, copied } = await readStore(session, context);
  if (copied < revision) await writeCopy(session, context);
}

function refuseShrunk(context: StoreContext, rows: ReadonlyMap<string, PolicyRow>): void {
  const shrunk = [...context.policies.values()].filter(
    ({ id, window }) => window < (rows.get(id)?.window ?? 0),
  );
  if (shrunk.length === 0) return;
  const commands = shrunk.map(({ id, window }) => `lethe retention shrink ${id} ${window}`);
  throw new LetheError(
    'RetentionInvalid',
    `The window of ${shrunk.map(({ id, window }) => `policy ${id} (${window} days; the key store has ${rows.get(id)?.window})`).join(', ')} became shorter in the retention file. That takes days away, so it is a command of its own: ${commands.join('; ')}. Or put the window back.`,
  );
}

/** `destroy_at`: 00:00 UTC, so many days after the day. Milliseconds. */
export function endOf(day: Day, window: number): number {
  return Date.parse(`${day}T00:00:00Z`) + window * 86_400_000;
}
