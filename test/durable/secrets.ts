import proto from '@temporalio/proto';
import { expect } from 'vitest';
import { sdkLog } from '../harness/runtime.js';
import { IDENTIFYING } from './crm.js';
import type { Ends, Stage } from './fixture.js';

/**
 * No value that identifies somebody and no key, in any form, stands in a history of the stage's workflows, in what the
 * SDK logged in this process, or in the given logs of others.
 */
export async function expectNoSecrets(
  stage: Stage,
  ends: readonly Ends[],
  logs: readonly string[] = [],
): Promise<void> {
  const histories = await historiesOf(stage);
  expect(histories.length).toBeGreaterThan(0);
  for (const text of [...histories, ...sdkLog, ...logs]) {
    expect(IDENTIFYING.exec(text)?.[0]).toBeUndefined();
    for (const { key } of ends) {
      const bytes = Buffer.from(key, 'base64');
      const forms = [
        key.replace(/=+$/, ''),
        bytes.toString('base64url'),
        bytes.toString('hex'),
        bytes.join(','),
      ];
      for (const form of forms) expect(text.toLowerCase().includes(form.toLowerCase())).toBe(false);
    }
  }
}

/** Histories of all workflows on the stage's queue, payloads decoded. */
export async function historiesOf(stage: Stage): Promise<string[]> {
  const texts: string[] = [];
  for await (const { workflowId, runId } of stage.client.workflow.list({
    query: `TaskQueue = '${stage.taskQueue}'`,
  })) {
    const history = await stage.client.workflow.getHandle(workflowId, runId).fetchHistory();
    texts.push(`${workflowId}\n${decoded(plain(history))}`);
  }
  return texts;
}

/** As text, with the base64 of payloads made readable. */
function decoded(history: unknown): string {
  return JSON.stringify(history, (name, value) =>
    typeof value === 'string' && name === 'data' ? Buffer.from(value, 'base64').toString('latin1') : value,
  );
}

const { History } = proto.temporal.api.history.v1;

/** As JSON would have it: bytes in base64. */
function plain(history: object): unknown {
  return History.toObject(History.fromObject(history), { longs: String, enums: String, bytes: String });
}
