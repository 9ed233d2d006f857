import { LetheError } from '../../errors/errors.js';
import type { Grade } from '../../retention/keys/policy.js';
import { type Day, dayAt } from '../../retention/token/day.js';
import { query, type Session } from '../session.js';
import type { StoreContext } from './context.js';

/** What a key store says of itself. Times are milliseconds since 1970. */
export interface StoreRow {
  readonly id: string;
  readonly simulated: boolean;
  /** Its own clock where time is simulated, else the server's. */
  readonly now: number;
  readonly today: Day;
  readonly epoch: string;
  readonly revision: bigint;
  /** The second copy holds everything up to this revision. */
  readonly copied: bigint;
  readonly lastCutoff: number;
  readonly lastGenerated: number | undefined;
  readonly publicKey: string;
}

/** A day key as it is stored. */
export interface DayKeyRow {
  readonly policy: string;
  readonly day: Day;
  readonly destroyAt: number;
  readonly master: string;
  readonly wrapped: Buffer;
  readonly fingerprint: string;
  readonly canary: string;
  /** A hold that was not released covers it. */
  readonly held: boolean;
  readonly holders: readonly string[];
}

export interface PolicyRow {
  readonly id: string;
  readonly window: number;
  readonly requiredGrade: Grade;
  readonly ended: boolean;
}

const MS = (column: string) => `(extract(epoch FROM ${column}) * 1000)::bigint`;

/**
 * The store's row.
 * @throws LetheError `ObjectMissing` where the database has no key store, `RetentionInvalid` where it is another kind of
 * store than the file says.
 */
export async function readStore(session: Session, context: StoreContext): Promise<StoreRow> {
  const [row] = await query(
    session,
    `SELECT id, simulated, ${MS('coalesce(clock, clock_timestamp())')} AS now, epoch, revision, copied,
       ${MS('last_cutoff')} AS last_cutoff, ${MS('last_generated')} AS last_generated, public_key
     FROM lethe_keys.store`,
  );
  if (!row) throw noStore(context);
  const simulated = row.simulated === 't';
  if (simulated !== context.settings.simulated) {
    throw new LetheError(
      'RetentionInvalid',
      `Key store ${context.name} was made ${simulated ? 'simulated' : 'for real time'}, and stays so: set simulated: ${simulated} in the retention file, or use another database.`,
    );
  }
  const now = Number(row.now);
  return {
    id: row.id!,
    simulated,
    now,
    today: dayAt(now),
    epoch: row.epoch!,
    revision: BigInt(row.revision!),
    copied: BigInt(row.copied!),
    lastCutoff: Number(row.last_cutoff),
    lastGenerated: row.last_generated === null ? undefined : Number(row.last_generated),
    publicKey: row.public_key!,
  };
}

/** What to do about a database without a key store. */
export function noStore({ name }: StoreContext): LetheError {
  return new LetheError(
    'ObjectMissing',
    `There is no key store in the database of ${name}. \`lethe retention apply\` makes it; \`lethe retention restore\` brings a lost one back.`,
  );
}

/** Day keys, oldest first; `where` is over `k`. */
export async function readDayKeys(
  session: Session,
  where = 'true',
  params: readonly unknown[] = [],
): Promise<DayKeyRow[]> {
  const rows = await query(
    session,
    `SELECT k.policy, k.day, ${MS('k.destroy_at')} AS destroy_at, k.master, k.wrapped, k.fingerprint, k.canary,
       coalesce((SELECT json_agg(h.actor ORDER BY h.id) FROM lethe_keys.hold h
         WHERE h.policy = k.policy AND k.day BETWEEN h.first_day AND h.last_day AND h.released_at IS NULL), '[]') AS holders
     FROM lethe_keys.day_key k WHERE ${where} ORDER BY k.policy, k.day`,
    params,
  );
  return rows.map((row) => {
    const holders = JSON.parse(row.holders!) as string[];
    return {
      policy: row.policy!,
      day: row.day!,
      destroyAt: Number(row.destroy_at),
      master: row.master!,
      wrapped: Buffer.from(row.wrapped!.slice(2), 'hex'),
      fingerprint: row.fingerprint!,
      canary: row.canary!,
      held: holders.length > 0,
      holders,
    };
  });
}

/** Policies that the store knows, those that the file has no more included. */
export async function readPolicies(session: Session): Promise<Map<string, PolicyRow>> {
  const rows = await query(
    session,
    'SELECT id, window_days, required_grade, ended_at IS NOT NULL AS ended FROM lethe_keys.policy ORDER BY id',
  );
  return new Map(
    rows.map((row) => [
      row.id!,
      {
        id: row.id!,
        window: Number(row.window_days),
        requiredGrade: row.required_grade as Grade,
        ended: row.ended === 't',
      },
    ]),
  );
}

/** Notes that something changed; with `epoch`, that rings which were handed out are not right any more. */
export async function changed(session: Session, epoch = false): Promise<void> {
  await query(
    session,
    `UPDATE lethe_keys.store SET revision = revision + 1${epoch ? ', epoch = epoch + 1' : ''}`,
  );
}

/** The latest cutoff counts: a late or backfilled run does not make the next one suspicious. */
export async function noteCutoff(session: Session, cutoff: number): Promise<void> {
  await query(
    session,
    'UPDATE lethe_keys.store SET last_cutoff = greatest(last_cutoff, to_timestamp($1::float8))',
    [cutoff / 1000],
  );
}
