import { basename, join } from 'node:path';
import { uuidv7 } from 'uuidv7';
import { LetheError } from '../errors/errors.js';
import { findJob, listJobs } from '../job/folder.js';
import { jobInvalid, type LoadedJob, parseJob } from '../job/load.js';
import { withRetention, withRetentionText } from '../job/retention/ofJob.js';
import type { Job, RetentionText } from '../job/types.js';
import type { Dependencies } from './dependencies.js';
import { toFailure } from './failure.js';
import type { ResolvedRun, SyncJobInput } from './types.js';

/** Finds the job and gives the run its id; nothing is opened or written yet. */
export async function resolveJob(deps: Dependencies, input: SyncJobInput): Promise<ResolvedRun> {
  try {
    const { job } = await findInput(deps, input);
    return {
      mode: job.destination.mode,
      ref: {
        ...(job.engine && { engine: job.engine }),
        run: uuidv7(),
        job: job.job,
        destination: job.destination.url,
        key: job.key,
      },
    };
  } catch (error) {
    throw toFailure(error);
  }
}

/** The job that the input of `syncJob` means: the text that came with it, or a file of the worker's folder. */
export async function findInput(deps: Dependencies, input: SyncJobInput): Promise<LoadedJob> {
  if (input.file) {
    const parsed = parseJob(input.file.text, input.file.name, { env: input.env });
    if (!parsed.job || parsed.text === undefined) throw jobInvalid(input.file.name, parsed.mistakes);
    return { job: parsed.job, text: parsed.text, file: input.file.name };
  }
  if (input.job) return findJob(requireFolder(deps), input.job, { env: input.env });
  const known = (await listJobs(requireFolder(deps))).flatMap(({ name }) => name ?? []);
  throw new LetheError(
    'JobInvalid',
    known.length === 0
      ? `No job was named, and the job folder of this worker (LETHE_JOBS) holds none. Start syncJob with {"job": "NAME"} after putting NAME's file there.`
      : `No job was named. Start syncJob with {"job": "${known[0]}"}. Known jobs: ${known.join(', ')}.`,
  );
}

/**
 * The job with the retention file that it names: as it came with the job's text, or from disk.
 *
 * @param pinned The file that the run goes by already.
 */
export async function withRetentionOf(
  deps: Dependencies,
  { job, file }: Pick<LoadedJob, 'job' | 'file'>,
  input: SyncJobInput,
  pinned?: RetentionText,
): Promise<Job> {
  const text = pinned ?? input.file?.retention;
  if (text) return withRetentionText(job, text);
  const folder = deps.jobsFolder ?? '.';
  return withRetention(job, input.file ? join(folder, basename(file)) : file);
}

function requireFolder(deps: Dependencies): string {
  if (deps.jobsFolder) return deps.jobsFolder;
  throw new LetheError(
    'UnknownJob',
    'This worker has no job folder, so runs cannot be started by a name. Start it with LETHE_JOBS=FOLDER, or start the run with `lethe sync FILE`.',
  );
}
