import { randomBytes } from 'node:crypto';
import { LetheError } from '../../errors/errors.js';
import { applyMigrations, schemaVersion } from '../migrations.js';
import { query, type Session } from '../session.js';
import { locked, type StoreContext } from './context.js';
import { noStore, readPolicies, readStore } from './rows.js';

const KEYS = { schema: 'lethe_keys', folder: new URL('./migrations/', import.meta.url) };

/** A simulated store begins here unless it is told otherwise. */
const SIMULATED_START = Date.parse('2026-01-01T00:00:00Z');

/** Brings the tables of a key store that is there up to this version. Throws `ObjectMissing` where it is not. */
export async function migrateKeys(session: Session, context: StoreContext): Promise<void> {
  if ((await schemaVersion(session, KEYS.schema)) === 0) throw noStore(context);
  await applyMigrations(session, KEYS);
}

/** Version of the tables of a key store; 0 where there are none. */
export function keysVersion(session: Session): Promise<number> {
  return schemaVersion(session, KEYS.schema);
}

/** Makes the tables of a key store where they are missing; no store is in them yet. */
export function createTables(session: Session): Promise<void> {
  return applyMigrations(session, KEYS);
}

/**
 * Makes the key store with its first master where it is missing, and writes down what the file says of its policies.
 *
 * @param start Where a simulated store's time begins, milliseconds since 1970; default 2026-01-01.
 * @throws LetheError `RetentionInvalid` when the database holds another store than the file says.
 */
export async function createStore(
  session: Session,
  context: StoreContext,
  start = SIMULATED_START,
): Promise<void> {
  await createTables(session);
  const [there] = await query(session, 'SELECT 1 AS one FROM lethe_keys.store');
  if (!there) await firstMaster(session, context, start);
  const { publicKey } = await readStore(session, context);
  if (publicKey !== context.signer.publicKey) {
    throw new LetheError(
      'RetentionInvalid',
      `Key store ${context.name} signs its receipts with another key. Give signing the one it was made with.`,
    );
  }
  await locked(session, async () => adoptPolicies(session, context));
}

async function firstMaster(session: Session, context: StoreContext, start: number): Promise<void> {
  const master = newMasterId(Date.now());
  await context.masters.create(master);
  await locked(session, async () => {
    await query(
      session,
      `INSERT INTO lethe_keys.store (id, simulated, clock, public_key, last_cutoff)
       VALUES ($1, $2, to_timestamp($3::float8), $4, coalesce(to_timestamp($3::float8), clock_timestamp()))
       ON CONFLICT DO NOTHING`,
      [
        randomBytes(8).toString('hex'),
        context.settings.simulated,
        context.settings.simulated ? start / 1000 : null,
        context.signer.publicKey,
      ],
    );
    await query(
      session,
      `INSERT INTO lethe_keys.master (id, state) SELECT $1, 'active'
       WHERE NOT EXISTS (SELECT FROM lethe_keys.master)`,
      [master],
    );
  });
  const [kept] = await query(session, 'SELECT 1 AS one FROM lethe_keys.master WHERE id = $1', [master]);
  // Another process was first.
  if (!kept) await context.masters.destroy(master);
}

/** Writes down policies that are new, and windows that grew; days that have a key keep their end. */
export async function adoptPolicies(session: Session, context: StoreContext): Promise<void> {
  const known = await readPolicies(session);
  for (const { id, window, requireGrade } of context.policies.values()) {
    const row = known.get(id);
    if (row && row.window >= window && row.requiredGrade === requireGrade) continue;
    await query(
      session,
      `INSERT INTO lethe_keys.policy (id, window_days, required_grade) VALUES ($1, $2, $3)
       ON CONFLICT (id) DO UPDATE SET window_days = greatest(policy.window_days, EXCLUDED.window_days),
         required_grade = EXCLUDED.required_grade`,
      [id, window, requireGrade],
    );
    await query(session, 'UPDATE lethe_keys.store SET revision = revision + 1, epoch = epoch + 1');
  }
}

/** `m20260301-` and twelve digits: its day is for people, the rest makes it the only one of its name. */
export function newMasterId(now: number): string {
  const day = new Date(now).toISOString().slice(0, 10).replaceAll('-', '');
  return `m${day}-${randomBytes(6).toString('hex')}`;
}
