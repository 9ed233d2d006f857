import { LetheError } from '../errors/errors.js';
import { listJobs } from '../job/folder.js';
import { parseJob } from '../job/load.js';
import type { Job } from '../job/types.js';
import type { RunRow } from '../ledger/types.js';
import { withConnection } from '../mongo/connection.js';
import { listRuns as listDocumentRuns, readPins as readDocumentPins } from '../mongo/ledger/runs.js';
import { ledgerOf } from '../mongo/ledger/store.js';
import { ledgerVersion } from '../postgres/ledger/migrate.js';
import { listRuns, readPins } from '../postgres/ledger/runs.js';
import { type Session, withSession } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { toFailure } from './failure.js';
import { findInput } from './resolve.js';
import type { ReplayInput, ResolvedRun } from './types.js';

interface Found {
  readonly row: RunRow;
  /** Reference to the destination that knows it. */
  readonly destination: string;
  /** Reference to the job key. */
  readonly key: string;
  readonly engine?: 'mongo';
}

/** Runs of a ledger that are looked through, and such as an error lists. */
const SEARCHED = 1_000;
const LISTED = 10;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Finds the run that is to be replayed in the ledgers of the jobs that this worker knows, or of the one that came with
 * the input. Writes nothing.
 */
export async function findReplay(deps: Dependencies, input: ReplayInput): Promise<ResolvedRun> {
  try {
    const jobs = await jobsOf(deps, input);
    const found = await search(deps, jobs, input);
    const [only, second] = found.filter(
      ({ row }) => input.run !== undefined && row.run.startsWith(input.run),
    );
    if (!only || second) throw unclear(input, found, jobs, second !== undefined);
    const { row, destination, key } = only;
    const { engine } = only;
    return {
      mode: row.mode,
      ref: { ...(engine && { engine }), run: row.run, job: row.job, destination, key },
    };
  } catch (error) {
    throw toFailure(error);
  }
}

async function jobsOf(deps: Dependencies, input: ReplayInput): Promise<Job[]> {
  if (input.file || input.job) return [(await findInput(deps, input)).job];
  if (!deps.jobsFolder) {
    throw new LetheError(
      'UnknownJob',
      'This worker has no job folder, so it does not know where runs are. Start it with LETHE_JOBS=FOLDER, or replay with `lethe replay RUN --job FILE`.',
    );
  }
  return (await listJobs(deps.jobsFolder)).flatMap(
    ({ text, file }) => parseJob(text, file, { env: input.env }).job ?? parseJob(text, file).job ?? [],
  );
}

/** Looks into each destination once; one that cannot be reached matters only when the run is in no other. */
async function search(deps: Dependencies, jobs: readonly Job[], input: ReplayInput): Promise<Found[]> {
  const found: Found[] = [];
  const failed: unknown[] = [];
  const looked = new Set<string>();
  for (const job of jobs) {
    try {
      const url = await deps.resolve(job.destination.url);
      if (looked.has(url)) continue;
      looked.add(url);
      const options = {
        url,
        role: 'destination',
        applicationName: 'lethe:find',
        readOnly: true,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
      } as const;
      found.push(
        ...(job.engine === 'mongo'
          ? await documentRunsOf(url, job, input)
          : await withSession(options, (session) => runsOf(session, job, input))),
      );
    } catch (error) {
      failed.push(error);
    }
  }
  const [first] = failed;
  if (found.length === 0 && first !== undefined) throw first;
  return found;
}

async function runsOf(session: Session, job: Job, input: ReplayInput): Promise<Found[]> {
  if ((await ledgerVersion(session)) === 0) return [];
  const rows = await listRuns(session, { limit: SEARCHED });
  const wanted = rows.filter((row) => isWanted(row, input));
  const found: Found[] = [];
  for (const row of wanted) {
    const key = row.job === job.job ? job.key : await pinnedKey(session, row.run);
    if (key !== undefined) found.push({ row, destination: job.destination.url, key });
  }
  return found;
}

async function documentRunsOf(url: string, job: Job, input: ReplayInput): Promise<Found[]> {
  const options = {
    url,
    role: 'destination',
    applicationName: 'lethe:find',
    timeoutMs: CONNECT_TIMEOUT_MS,
  } as const;
  return withConnection(options, async (connection) => {
    const ledger = ledgerOf(connection);
    const rows = (await listDocumentRuns(ledger, { limit: SEARCHED })).filter((row) => isWanted(row, input));
    const found: Found[] = [];
    for (const row of rows) {
      const pinned = async () => parseJob((await readDocumentPins(ledger, row.run)).jobText, 'job').job?.key;
      const key = row.job === job.job ? job.key : await pinned();
      if (key !== undefined) found.push({ row, destination: job.destination.url, key, engine: 'mongo' });
    }
    return found;
  });
}

/** The run that is named, and those that may be replayed. */
function isWanted({ run, state }: RunRow, input: ReplayInput): boolean {
  return state === 'failed' || (input.run !== undefined && run.startsWith(input.run));
}

/** A destination may know runs of jobs that are not in the folder; what they pinned holds their references. */
async function pinnedKey(session: Session, run: string): Promise<string | undefined> {
  const { jobText } = await readPins(session, run);
  return parseJob(jobText, 'job').job?.key;
}

function unclear(
  { run }: ReplayInput,
  found: readonly Found[],
  jobs: readonly Job[],
  ambiguous: boolean,
): LetheError {
  const failed = found.filter(({ row }) => row.state === 'failed').slice(0, LISTED);
  const [first] = failed;
  const list =
    first === undefined
      ? ` No failed run is known in the destinations of ${jobs.map(({ job }) => job).join(', ') || 'any job'}.`
      : ` Failed runs: ${failed.map(({ row }) => `${row.run} of ${row.job} (${row.startedAt.slice(0, 16).replace('T', ' ')} UTC)`).join(', ')}.`;
  if (run === undefined) {
    return new LetheError(
      'JobInvalid',
      `No run was named. Start replayFailedBatches with {"run": "${first?.row.run ?? 'ID'}"}.${list}`,
    );
  }
  return ambiguous
    ? new LetheError('UnknownRun', `"${run}" is the beginning of several runs: give more of the id.${list}`)
    : new LetheError(
        'UnknownRun',
        `No run "${run}" is known in the destinations of ${jobs.map(({ job }) => job).join(', ') || 'any job'}.${list}`,
      );
}
