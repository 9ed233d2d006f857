import { LetheError } from '../../errors/errors.js';
import type { Step } from '../../retention/keys/destruction.js';
import { worst } from '../../retention/keys/grades.js';
import type { Destroyed } from '../../retention/keys/masters.js';
import type { Grade } from '../../retention/keys/policy.js';
import type { Day } from '../../retention/token/day.js';
import { query, type Session } from '../session.js';
import { type DayKeyRow, readDayKeys } from './rows.js';

/** Which day keys a destruction is about. */
export interface Target {
  readonly cause: 'due' | 'early' | 'rotate';
  /** Milliseconds since 1970. */
  readonly cutoff: number;
  /** Of `early`. No days: all of the policy. */
  readonly policy?: string;
  readonly days?: readonly Day[];
  readonly actor?: string;
  readonly reason?: string;
}

/** A destruction as it is recorded. */
export interface DestructionRow extends Target {
  readonly id: number;
  readonly step: Step;
  readonly newMaster: string;
  readonly clocks: Readonly<Record<'logical' | 'database' | 'temporal', string>>;
}

/** The day keys that a target means: those that go, and those that a hold keeps. */
export async function victims(
  session: Session,
  target: Target,
): Promise<{ due: DayKeyRow[]; held: DayKeyRow[] }> {
  const rows = await targeted(session, target);
  return { due: rows.filter(({ held }) => !held), held: rows.filter(({ held }) => held) };
}

function targeted(session: Session, { cause, cutoff, policy, days }: Target): Promise<DayKeyRow[]> {
  if (cause === 'rotate') return Promise.resolve([]);
  if (cause === 'due')
    return readDayKeys(session, 'k.destroy_at <= to_timestamp($1::float8)', [cutoff / 1000]);
  return readDayKeys(session, 'k.policy = $1 AND ($2::date[] IS NULL OR k.day = ANY ($2))', [
    policy,
    days ?? null,
  ]);
}

/** The destruction that was begun and is not done. */
export async function readOpen(session: Session): Promise<DestructionRow | undefined> {
  const [row] = await query(session, 'SELECT id FROM lethe_keys.destruction WHERE ended_at IS NULL');
  return row && readRow(session, Number(row.id));
}

export async function readRow(session: Session, id: number): Promise<DestructionRow> {
  const [row] = await query(
    session,
    `SELECT cause, (extract(epoch FROM cutoff) * 1000)::bigint AS cutoff, policy, to_json(days) AS days, actor, reason,
       step, new_master, clocks FROM lethe_keys.destruction WHERE id = $1`,
    [id],
  );
  if (!row)
    throw new LetheError(
      'ObjectMissing',
      `Destruction ${id} is not in the key store any more: it was restored to an earlier state. The next run begins anew.`,
    );
  return {
    id,
    cause: row.cause as Target['cause'],
    cutoff: Number(row.cutoff),
    step: row.step as Step,
    newMaster: row.new_master!,
    clocks: JSON.parse(row.clocks!),
    ...(row.policy !== null && { policy: row.policy }),
    ...(row.days !== null && { days: JSON.parse(row.days!) as Day[] }),
    ...(row.actor !== null && { actor: row.actor }),
    ...(row.reason !== null && { reason: row.reason }),
  };
}

/** What a destruction that is done came to. */
export async function readDestruction(session: Session, id: number) {
  const rows = await query(
    session,
    'SELECT policy, day, grade, until FROM lethe_keys.tombstone WHERE destruction = $1 ORDER BY policy, day',
    [id],
  );
  const grades = rows.map(
    (row): Destroyed => ({
      grade: row.grade as Grade,
      ...(row.until !== null && { until: row.until }),
    }),
  );
  return {
    destroyed: rows.map((row) => ({ policy: row.policy!, day: row.day! })),
    ...(grades.length > 0 && { grade: worst(grades) }),
  };
}
