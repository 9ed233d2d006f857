import { randomUUID } from 'node:crypto';
import type { CheckRecord, CheckResult } from '../../ledger/checks.js';
import type { Ledger } from './store.js';

/** Keeps what a run was found to be. */
export async function insertCheckResult(
  { checks: kept }: Ledger,
  { run, job, origin, ok, seconds, checks, distributions }: Omit<CheckRecord, 'checkedAt' | 'sourceSnapshot'>,
  /** At a run's end: 0, or the number of its replay. The check of a segment is kept once, however often it is tried. */
  segment?: number,
): Promise<void> {
  const record = {
    ...{ run, job, origin, ok, seconds, checkedAt: new Date() },
    checks: JSON.stringify(checks),
    distributions: JSON.stringify(distributions),
  };
  await kept.replaceOne({ _id: `${run}/${segment ?? randomUUID()}` }, record, { upsert: true });
}

/** The newest first; of a job, or of one run. */
export async function listCheckResults(
  { checks: kept }: Ledger,
  { job, run, limit }: { readonly job?: string; readonly run?: string; readonly limit: number },
): Promise<CheckRecord[]> {
  const of = { ...(job !== undefined && { job }), ...(run !== undefined && { run }) };
  const found = await kept.find(of).sort({ checkedAt: -1 }).limit(limit).toArray();
  return found.map(({ _id, checkedAt, checks, distributions, ...record }) => ({
    ...record,
    checkedAt: checkedAt.toISOString(),
    checks: JSON.parse(checks) as CheckResult[],
    distributions: JSON.parse(distributions) as unknown[],
  }));
}
