import type { RememberedDomains } from '../../plan/remembered.js';
import { query, type Session } from '../session.js';

/** Domains of the job's earlier runs, as its destination remembers them; none where there is no ledger yet. */
export async function readDomains(session: Session, job: string): Promise<RememberedDomains> {
  const [there] = await query(session, `SELECT to_regclass('lethe.destination') IS NOT NULL AS there`);
  if (there?.there !== 't') return {};
  const [row] = await query(session, 'SELECT domains -> $1 AS domains FROM lethe.destination', [job]);
  return row?.domains ? (JSON.parse(row.domains) as RememberedDomains) : {};
}

/** Remembers them, in the transaction that makes the destination the run's own. */
export async function writeDomains(session: Session, job: string, domains: RememberedDomains): Promise<void> {
  await query(
    session,
    'UPDATE lethe.destination SET domains = domains || jsonb_build_object($1::text, $2::jsonb)',
    [job, JSON.stringify(domains)],
  );
}
