import { ApplicationFailure } from '@temporalio/workflow';
import { isFile } from './input.js';
import type { ReplayWorkflowInput } from './replayFailedBatches.js';

const EXAMPLE = '{"run": "01a20660"}';
const FIELDS = ['run', 'tables', 'batches', 'job', 'file', 'env'];
/** Those that people do not give. */
const OWN = ['carried', 'begun', 'tuning'];

/**
 * The one argument of `replayFailedBatches`, as a person may have typed it: every mistake at once, none retried. A run
 * that is missing is found out where the ledgers are known, which then lists those that may be replayed.
 */
export function checkReplayInput(input: unknown): ReplayWorkflowInput {
  if (input === undefined || input === null) return {};
  if (typeof input !== 'object' || Array.isArray(input)) {
    throw ApplicationFailure.nonRetryable(
      `The input of replayFailedBatches is one JSON object such as ${EXAMPLE}.`,
      'JobInvalid',
    );
  }
  const given = input as Record<string, unknown>;
  const mistakes = Object.keys(given)
    .filter((key) => ![...FIELDS, ...OWN].includes(key))
    .map((key) => `unknown field "${key}" (known: ${FIELDS.join(', ')})`);
  for (const key of ['run', 'job', 'env']) {
    if (given[key] !== undefined && typeof given[key] !== 'string')
      mistakes.push(`"${key}" must be a string`);
  }
  if (typeof given.run === 'string' && !/^[0-9a-f-]{4,36}$/.test(given.run))
    mistakes.push('"run" must be the id of a run, or its first four or more characters');
  for (const key of ['tables', 'batches']) {
    if (given[key] !== undefined && !isList(given[key]))
      mistakes.push(`"${key}" must be a list of strings that is not empty`);
  }
  if (isList(given.batches) && !given.batches.every((batch) => /^\d{1,9}\/\d{1,9}$/.test(batch)))
    mistakes.push('"batches" are given as "partition/batch", such as "12/0"');
  if (given.file !== undefined && !isFile(given.file))
    mistakes.push('"file" must be {"name": string, "text": string}');
  if (given.job !== undefined && given.file !== undefined) mistakes.push('give "job" or "file", not both');
  if (mistakes.length > 0) {
    throw ApplicationFailure.nonRetryable(
      `The input of replayFailedBatches has mistakes: ${mistakes.join('; ')}. It looks like ${EXAMPLE}.`,
      'JobInvalid',
    );
  }
  return given as ReplayWorkflowInput;
}

function isList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
}
