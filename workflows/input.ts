import { ApplicationFailure } from '@temporalio/workflow';
import type { SyncJobWorkflowInput } from './syncJob.js';

const EXAMPLE = '{"job": "crm-staging"}';

/** The one argument of `syncJob`, as a person may have typed it: every mistake at once, none retried. */
export function checkInput(input: unknown): SyncJobWorkflowInput {
  if (input === undefined || input === null) return {};
  if (typeof input !== 'object' || Array.isArray(input)) {
    throw ApplicationFailure.nonRetryable(
      `The input of syncJob is one JSON object such as ${EXAMPLE}.`,
      'JobInvalid',
    );
  }
  const given = input as Record<string, unknown>;
  const mistakes = Object.keys(given)
    .filter((key) => !['job', 'file', 'env', 'acceptDomains', 'carried', 'tuning'].includes(key))
    .map((key) => `unknown field "${key}"`);
  for (const key of ['job', 'env']) {
    if (given[key] !== undefined && typeof given[key] !== 'string')
      mistakes.push(`"${key}" must be a string`);
  }
  if (given.acceptDomains !== undefined && typeof given.acceptDomains !== 'boolean')
    mistakes.push('"acceptDomains" must be true or false');
  if (given.file !== undefined && !isFile(given.file))
    mistakes.push('"file" must be {"name": string, "text": string}');
  const { retention } = (given.file ?? {}) as { retention?: unknown };
  if (retention !== undefined && !isFile(retention))
    mistakes.push('"file.retention" must be {"name": string, "text": string}');
  if (given.job !== undefined && given.file !== undefined) mistakes.push('give "job" or "file", not both');
  if (mistakes.length > 0) {
    throw ApplicationFailure.nonRetryable(
      `The input of syncJob has mistakes: ${mistakes.join('; ')}. It looks like ${EXAMPLE}.`,
      'JobInvalid',
    );
  }
  return given as SyncJobWorkflowInput;
}

export function isFile(file: unknown): boolean {
  const { name, text } = (file ?? {}) as Record<string, unknown>;
  return typeof name === 'string' && typeof text === 'string';
}
