import { query, type Session } from '../session.js';

/** The newest checks of a run as they were kept: numbers, names and our own texts. */
export interface KeptChecks {
  /** ISO 8601, UTC. */
  readonly checkedAt: string;
  readonly origin: string;
  readonly seconds: number;
  readonly checks: unknown;
  readonly distributions: unknown;
}

/** Undefined where the ledger, or one that an earlier version wrote, kept none. */
export async function newestChecks(session: Session, run: string): Promise<KeptChecks | undefined> {
  const [there] = await query(session, `SELECT to_regclass('lethe.check_result') IS NOT NULL AS there`);
  if (there?.there !== 't') return undefined;
  const [row] = await query(
    session,
    `SELECT to_char(checked_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS checked_at, origin, seconds, checks, distributions
     FROM lethe.check_result WHERE run = $1 ORDER BY id DESC LIMIT 1`,
    [run],
  );
  return (
    row && {
      checkedAt: row.checked_at!,
      origin: row.origin!,
      seconds: Number(row.seconds),
      checks: JSON.parse(row.checks ?? '[]'),
      distributions: JSON.parse(row.distributions ?? '[]'),
    }
  );
}
