import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { DestroyKeysInput } from '../activities/keyTypes.js';
import { isFile } from './input.js';
import type { Tuning } from './options.js';

const EXAMPLE = '{"keyStore": "main"}';

/** When a schedule meant its workflow to start. Set by Temporal. */
const SCHEDULED_START = defineSearchAttributeKey('TemporalScheduledStartTime', SearchAttributeType.DATETIME);

/** Input of a workflow about keys, checked. */
export interface CheckedKeysInput extends DestroyKeysInput {
  /** For tests. */
  tuning?: Tuning;
}

/**
 * The one argument of `generateDayKeys` or `destroyDayKeys`, as a person may have typed it: every mistake at once, none
 * retried. A key store that is missing is found out where the retention files are known, which then lists those there are.
 */
export function checkKeysInput(
  workflow: string,
  input: unknown,
  fields: readonly string[],
): CheckedKeysInput {
  if (input === undefined || input === null) return {};
  if (typeof input !== 'object' || Array.isArray(input)) {
    throw ApplicationFailure.nonRetryable(
      `The input of ${workflow} is one JSON object such as ${EXAMPLE}.`,
      'JobInvalid',
    );
  }
  const given = input as Record<string, unknown>;
  const mistakes = Object.keys(given)
    .filter((key) => ![...fields, 'tuning'].includes(key))
    .map((key) => `unknown field "${key}" (known: ${fields.join(', ')})`);
  if (given.keyStore !== undefined && typeof given.keyStore !== 'string')
    mistakes.push('"keyStore" must be a string');
  if (given.file !== undefined && !isFile(given.file))
    mistakes.push('"file" must be {"name": string, "text": string}');
  if (given.logicalDate !== undefined && !isTime(given.logicalDate))
    mistakes.push('"logicalDate" must be a day or time such as "2026-03-01" or "2026-03-01T00:30:00Z"');
  if (given.confirmGap !== undefined && typeof given.confirmGap !== 'boolean')
    mistakes.push('"confirmGap" must be true or false');
  if (mistakes.length > 0) {
    throw ApplicationFailure.nonRetryable(
      `The input of ${workflow} has mistakes: ${mistakes.join('; ')}. It looks like ${EXAMPLE}; started with nothing, it is about every key store that the workers know.`,
      'JobInvalid',
    );
  }
  return given as CheckedKeysInput;
}

function isTime(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z)?$/.test(value) &&
    Number.isFinite(Date.parse(value))
  );
}

/** The time that a run is for, milliseconds since 1970; undefined is now. */
export function logicalTime({ logicalDate }: CheckedKeysInput): number | undefined {
  if (logicalDate !== undefined) return Date.parse(logicalDate);
  return workflowInfo().typedSearchAttributes.get(SCHEDULED_START)?.getTime();
}
