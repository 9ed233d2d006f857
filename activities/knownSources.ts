import { listJobs } from '../job/folder.js';
import { parseJob } from '../job/load.js';
import type { DatabaseIdentity } from '../plan/catalog.js';
import { readIdentity } from '../postgres/catalog/identity.js';
import { withSession } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';

/** A source that somebody reads from must never become a destination. */
export interface KnownSource {
  readonly job: string;
  readonly identity: DatabaseIdentity;
}

const CONNECT_TIMEOUT_MS = 3_000;

/** A database's identity does not change while its URL leads to it; asked once per process. */
const identities = new Map<string, DatabaseIdentity>();

/**
 * The databases that the jobs of the worker's folder read from. A job with mistakes, or whose source cannot be reached
 * from here, is passed over: it cannot be run from here either.
 */
export async function knownSources(deps: Dependencies): Promise<KnownSource[]> {
  if (!deps.jobsFolder) return [];
  const jobs = await listJobs(deps.jobsFolder);
  const found = await Promise.all(
    jobs.map(async ({ file, text }): Promise<KnownSource | undefined> => {
      const { job } = parseJob(text, file);
      if (!job) return undefined;
      try {
        return {
          job: job.job,
          identity: await identityOf(await deps.resolve(job.source.url), job.source.encoding),
        };
      } catch {
        return undefined;
      }
    }),
  );
  return found.filter((source) => source !== undefined);
}

async function identityOf(url: string, encoding: string | undefined): Promise<DatabaseIdentity> {
  const known = identities.get(url);
  if (known) return known;
  const options = {
    url,
    role: 'source',
    applicationName: 'lethe:known',
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  } as const;
  const identity = await withSession({ ...options, encoding }, readIdentity);
  identities.set(url, identity);
  return identity;
}
