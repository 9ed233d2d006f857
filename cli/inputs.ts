import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { LetheError } from '../errors/errors.js';
import { findJob, jobFolder } from '../job/folder.js';
import { type LoadedJob, loadJob, readJobText } from '../job/load.js';
import { referenceMistake, resolveReference } from '../job/references.js';
import { withRetention } from '../job/retention/ofJob.js';
import type { RetentionText } from '../job/types.js';

const FILES = ['.yaml', '.yml', '.json', '.js', '.mjs'];

function isFile(argument: string): boolean {
  return FILES.includes(extname(argument)) || existsSync(argument);
}

/** JOB on a command line: the path of a job file, or the name of a job in the job folder (`LETHE_JOBS`). */
export function jobArgument(argument: string, env?: string): Promise<LoadedJob> {
  return isFile(argument) ? loadJob(argument, { env }) : findJob(jobFolder(), argument, { env });
}

/** JOB for commands that plan: with the retention file that it names. */
export async function plannedArgument(argument: string, env?: string): Promise<LoadedJob> {
  const loaded = await jobArgument(argument, env);
  return { ...loaded, job: await withRetention(loaded.job, loaded.file) };
}

/** What `sync` hands to the workflow: the text as it is in the file; the worker lays the environment over it. */
export async function jobText(
  loaded: LoadedJob,
): Promise<{ name: string; text: string; retention?: RetentionText }> {
  const read = loaded.job.retention?.read;
  return {
    name: loaded.file,
    text: await readJobText(loaded.file),
    ...(read && { retention: { name: read.name, text: read.text } }),
  };
}

/** SOURCE or DEST on a command line: a connection URL, a reference, or a job file whose side is meant. */
export async function databaseArgument(
  argument: string,
  side: 'source' | 'destination',
  env?: string,
): Promise<{ url: string; reference?: string }> {
  if (/^(postgres(ql)?|mongodb(\+srv)?):\/\//.test(argument)) return { url: argument };
  if (isFile(argument)) {
    const { job } = await loadJob(argument, { env });
    const reference = job[side].url;
    return { url: await resolveReference(reference), reference };
  }
  if (referenceMistake(argument)) {
    throw new LetheError(
      'JobInvalid',
      `The ${side} is given as a connection URL (postgres://…, mongodb://…), a reference (env:NAME, file:PATH, exec:COMMAND) or a job file that is there.`,
    );
  }
  return { url: await resolveReference(argument), reference: argument };
}
