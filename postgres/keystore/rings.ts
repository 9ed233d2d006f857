import type { Policy, RingRequest } from '../../retention/keys/policy.js';
import { unwrapKey } from '../../retention/keys/wrapping.js';
import { addDays, type Day } from '../../retention/token/day.js';
import { dayKeys, type Ring } from '../../retention/token/ring.js';
import { query, type Session } from '../session.js';
import { locked, policyOf, type StoreContext, withStore } from './context.js';
import { type DayKeyRow, readDayKeys, readPolicies, readStore, type StoreRow } from './rows.js';

/** Who asked, where nobody was named. */
const ANYBODY = 'reader';

/**
 * See `RingSource.rings`. A day is in a ring until its `destroy_at`: on the day that its window ends it is out, whether its
 * key was destroyed yet or not. Of days that are held beyond their window only a hold's actor gets keys, in a ring whose
 * time stands still (`simulated`). Every hand-over is written down for the receipt of the day.
 */
export async function readRings(context: StoreContext, request: RingRequest = {}): Promise<readonly Ring[]> {
  const wanted = request.policies?.map((id) => policyOf(context, id)) ?? [...context.policies.values()];
  return withStore(context, (session) =>
    // A destruction waits until it is written down who has the keys.
    locked(
      session,
      async () => {
        const store = await readStore(session, context);
        const windows = await readPolicies(session);
        const rings: Ring[] = [];
        for (const policy of wanted) {
          const window = windows.get(policy.id)?.window ?? policy.window;
          const ring = await ringOf(session, context, store, { ...policy, window }, request);
          await noteExport(session, ring, request.actor ?? ANYBODY);
          rings.push(ring);
        }
        return rings;
      },
      true,
    ),
  );
}

async function ringOf(
  session: Session,
  context: StoreContext,
  store: StoreRow,
  { id, window }: Policy,
  { since, actor }: RingRequest,
): Promise<Ring> {
  const rows = await readDayKeys(session, 'k.policy = $1', [id]);
  const due = rows.filter(({ destroyAt }) => destroyAt <= store.now);
  const mine = due.filter(({ holders }) => actor !== undefined && holders.includes(actor));
  const gone = [
    ...(await tombstones(session, id)),
    ...due.filter((row) => !mine.includes(row)).map(({ day }) => day),
  ];
  const opened = addDays(store.today, 1 - window);
  const first = later(
    since,
    mine.reduce((day, row) => (row.day < day ? row.day : day), opened),
  );
  const keys = new Map<Day, Uint8Array>();
  for (const row of [...mine, ...rows.filter((each) => !due.includes(each))]) {
    if (row.day < first) continue;
    keys.set(row.day, await openDay(context, row));
  }
  const simulated = store.simulated || mine.length > 0;
  const ring = { policy: id, asOf: store.today, first, gone: gone.sort(), keys };
  return simulated ? { ...ring, simulated } : { ...ring, window };
}

/** Kx ‖ Km of a stored day key. */
async function openDay(context: StoreContext, row: DayKeyRow): Promise<Uint8Array> {
  const key = await unwrapKey(context.masters, row.wrapped, row);
  const keys = dayKeys(key, row.policy, row.day);
  key.fill(0);
  return keys;
}

async function tombstones(session: Session, policy: string): Promise<Day[]> {
  const rows = await query(session, 'SELECT day FROM lethe_keys.tombstone WHERE policy = $1', [policy]);
  return rows.map((row) => row.day!);
}

async function noteExport(session: Session, ring: Ring, actor: string): Promise<void> {
  if (ring.keys.size === 0) return;
  await query(
    session,
    `INSERT INTO lethe_keys.export (policy, day, actor, first, last)
     SELECT $1, day, $3, t.now, t.now
     FROM unnest($2::date[]) day, (SELECT coalesce(clock, clock_timestamp()) AS now FROM lethe_keys.store) t ORDER BY day
     ON CONFLICT (policy, day, actor) DO UPDATE SET times = export.times + 1, last = EXCLUDED.last`,
    [ring.policy, [...ring.keys.keys()], actor],
  );
}

function later(a: Day | undefined, b: Day): Day {
  return a !== undefined && a > b ? a : b;
}
