import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { LetheError } from '../errors/errors.js';
import { jobInvalid, type LoadedJob, type ParseOptions, parseJob, readJobText } from './load.js';
import { didYouMean } from './nearest.js';
import { isRecord } from './rules.js';
import { readSource } from './source.js';

/** A file of a job folder. */
export interface FolderJob {
  /** The file's `job`; undefined when it cannot be read as far as that. */
  readonly name?: string;
  readonly file: string;
  readonly text: string;
}

/** The folder whose jobs a worker knows: `LETHE_JOBS`, else `jobs` in the working directory. */
export function jobFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.LETHE_JOBS ?? 'jobs';
}

/** The job files (`.yaml`, `.yml`, `.json`) of a folder in byte order of their names; none if there is no folder. */
export async function listJobs(folder: string): Promise<FolderJob[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new LetheError(
      'UnknownJob',
      `The job folder ${folder} cannot be read. Set LETHE_JOBS to a readable folder.`,
    );
  }
  const files = names.filter((name) => ['.yaml', '.yml', '.json'].includes(extname(name))).sort();
  return Promise.all(
    files.map(async (name) => {
      const file = join(folder, name);
      const text = await readJobText(file);
      const { data } = readSource(text, file);
      return { file, text, ...(isRecord(data) && typeof data.job === 'string' && { name: data.job }) };
    }),
  );
}

/**
 * The job of a name in a folder.
 * @throws LetheError `UnknownJob` with the names there are, `JobInvalid` when its file has mistakes or two files claim
 * the name.
 */
export async function findJob(folder: string, name: string, options: ParseOptions = {}): Promise<LoadedJob> {
  const jobs = await listJobs(folder);
  const [found, second] = jobs.filter((job) => job.name === name);
  if (!found) {
    const names = jobs.flatMap((job) => job.name ?? []);
    const hint = names.length === 0 ? ' (the folder holds no job file)' : didYouMean(name, names);
    throw new LetheError(
      'UnknownJob',
      `There is no job "${name}" in ${folder}${hint}. Workers know the jobs of LETHE_JOBS.`,
    );
  }
  if (second) {
    throw new LetheError(
      'JobInvalid',
      `Two files of ${folder} are named "${name}": ${found.file} and ${second.file}. Keep one.`,
    );
  }
  const parsed = parseJob(found.text, found.file, options);
  if (!parsed.job || parsed.text === undefined) {
    throw jobInvalid(found.file, parsed.mistakes);
  }
  return { job: parsed.job, text: parsed.text, file: found.file };
}
