import { checkDocumentPins, checkPins } from '../activities/pins.js';
import { openingOf } from '../activities/sealing.js';
import { jobKeys, parseJobKey } from '../anonymize/keys.js';
import { withSealing } from '../anonymize/sealing.js';
import { resolveReference } from '../job/references.js';
import type { Job } from '../job/types.js';
import type { CheckRecord } from '../ledger/checks.js';
import type { RunRow } from '../ledger/types.js';
import { isMongoUrl, withConnection } from '../mongo/connection.js';
import { withPinnedSource } from '../mongo/identity.js';
import { listCheckResults as listDocumentResults } from '../mongo/ledger/checkResults.js';
import { listRuns as listDocumentRuns, readNewestPins } from '../mongo/ledger/runs.js';
import { ledgerVersion as documentLedgerVersion, ledgerOf } from '../mongo/ledger/store.js';
import { listCheckResults } from '../postgres/ledger/checkResults.js';
import { ledgerVersion, migrate } from '../postgres/ledger/migrate.js';
import { readCorrected } from '../postgres/ledger/replays.js';
import { listRuns, readPins } from '../postgres/ledger/runs.js';
import { withSession } from '../postgres/session.js';
import { checkDocuments } from '../quality/checkDocuments.js';
import type { Check } from '../quality/checks.js';
import type { InspectProgress } from '../quality/inspection.js';
import { recheck } from '../quality/recheck.js';

/** What `lethe validate` needs of a destination, on either engine. */
export interface CheckedDestination {
  /** The newest runs of the job first. */
  runs(): Promise<RunRow[]>;
  history(limit: number): Promise<CheckRecord[]>;
  /** Checks a run once more, with the source as it is now, and keeps the result. */
  check(row: RunRow, options: CheckOptions): Promise<Check[]>;
}

export interface CheckOptions {
  readonly report: (progress: InspectProgress) => void;
  readonly signal: AbortSignal;
}

/** Runs of a job that are looked through. */
const LOOKED_AT = 1_000;

const MISFIT =
  'The source reference leads to another database than the run read. Check the URL of the source.';

/** Opens the destination of a job; undefined where Lethe never wrote it. */
export async function withCheckedDestination<T>(
  job: Job,
  body: (destination: CheckedDestination) => Promise<T>,
): Promise<T | undefined> {
  const url = await resolveReference(job.destination.url);
  return isMongoUrl(url) ? withDocuments(job, url, body) : withRows(job, url, body);
}

async function withRows<T>(
  job: Job,
  url: string,
  body: (destination: CheckedDestination) => Promise<T>,
): Promise<T | undefined> {
  const of = { job: job.job };
  return withSession({ url, role: 'destination', applicationName: 'lethe:validate' }, async (session) => {
    if ((await ledgerVersion(session)) === 0) return undefined;
    await migrate(session);
    return body({
      runs: () => listRuns(session, { ...of, limit: LOOKED_AT }),
      history: (limit) => listCheckResults(session, { ...of, limit }),
      async check(row, options) {
        const pins = { ...(await readPins(session, row.run)), ...(await readCorrected(session, row.run)) };
        const jobKey = parseJobKey(await resolveReference(job.key));
        await checkPins(session, pins, jobKeys(jobKey));
        const sourceUrl = await resolveReference(job.source.url);
        return recheck(session, {
          ...{ row, pins, settings: job.checks, sourceUrl, destinationUrl: url, jobKey },
          ...(await openingOf(resolveReference, pins)),
          ...options,
        });
      },
    });
  });
}

async function withDocuments<T>(
  job: Job,
  url: string,
  body: (destination: CheckedDestination) => Promise<T>,
): Promise<T | undefined> {
  const of = { job: job.job };
  const common = { applicationName: 'lethe:validate' };
  return withConnection({ ...common, url, role: 'destination' }, async (destination) => {
    const ledger = ledgerOf(destination);
    if ((await documentLedgerVersion(ledger)) === 0) return undefined;
    return body({
      runs: () => listDocumentRuns(ledger, { ...of, limit: LOOKED_AT }),
      history: (limit) => listDocumentResults(ledger, { ...of, limit }),
      async check(row, options) {
        const pins = await readNewestPins(ledger, row.run);
        const jobKey = parseJobKey(await resolveReference(job.key));
        const keys = jobKeys(jobKey, pins.plan.consistency === 'run' ? row.run : undefined);
        await checkDocumentPins(destination, pins, keys);
        const sourceUrl = await resolveReference(job.source.url);
        return withPinnedSource({ ...common, url: sourceUrl }, pins.plan.source, MISFIT, async (source) => {
          const { sealed } = await openingOf(resolveReference, pins);
          const check = {
            ...{ row, pins, keys: withSealing(keys, sealed?.sealing), settings: job.checks, ...options },
            ...{ origin: 'validate' as const, ...(sealed && { sealed: sealed.sealed }) },
          };
          return checkDocuments(check, source, destination);
        });
      },
    });
  });
}
