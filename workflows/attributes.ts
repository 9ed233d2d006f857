import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** Search attributes of workflows; a worker registers them where it may. */
export const JOB_ATTRIBUTE = defineSearchAttributeKey('LetheJob', SearchAttributeType.KEYWORD);
export const RUN_ATTRIBUTE = defineSearchAttributeKey('LetheRun', SearchAttributeType.KEYWORD);
export const MODE_ATTRIBUTE = defineSearchAttributeKey('LetheMode', SearchAttributeType.KEYWORD);
/** Of workflows about keys in place of job and run. */
export const KEY_STORE_ATTRIBUTE = defineSearchAttributeKey('LetheKeyStore', SearchAttributeType.KEYWORD);

export const SEARCH_ATTRIBUTES = [JOB_ATTRIBUTE, RUN_ATTRIBUTE, MODE_ATTRIBUTE, KEY_STORE_ATTRIBUTE] as const;
