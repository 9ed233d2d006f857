import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LetheError } from '../../errors/errors.js';
import { jobInvalid } from '../load.js';
import type { Job, RetentionText } from '../types.js';
import { parseRetention } from './load.js';

/**
 * The job with the retention file that it names, read from disk; the same job where it names none.
 *
 * @param jobFile Path of the job file: the retention file's is relative to it.
 * @throws LetheError `JobInvalid` when it is not there or has mistakes.
 */
export async function withRetention(job: Job, jobFile: string): Promise<Job> {
  if (!job.retention) return job;
  const name = resolve(dirname(jobFile), job.retention.path);
  try {
    return withRetentionText(job, { name: job.retention.path, text: await readFile(name, 'utf8') });
  } catch (error) {
    if (error instanceof LetheError) throw error;
    const { file, line } = job.retention.position;
    throw new LetheError(
      'JobInvalid',
      `${file}:${line}: the retention file ${job.retention.path} cannot be read (${(error as NodeJS.ErrnoException).code}). Its path is relative to the job file.`,
    );
  }
}

/** The job with the text of the retention file that it names. */
export function withRetentionText(job: Job, { name, text }: RetentionText): Job {
  if (!job.retention) return job;
  const { retention: file, mistakes } = parseRetention(text, name);
  if (!file) throw jobInvalid(name, mistakes);
  const hash = createHash('sha256').update(text).digest('hex');
  return { ...job, retention: { ...job.retention, read: { name, text, hash, file } } };
}
