import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';

/* Histories that stand in the repository: how they are read, replayed and, where that is asked for, written. */

const BUNDLE = new URL('../../dist/workflow-bundle.js', import.meta.url).pathname;
const { History } = proto.temporal.api.history.v1;

/** As a workflow's handle gives it. */
export type FetchedHistory = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

/** Runs the workflows as they are built against what an execution did. */
export async function replayHistory(history: FetchedHistory, workflowId: string): Promise<void> {
  const code = readFileSync(BUNDLE, 'utf8');
  await Worker.runReplayHistory({ workflowBundle: { code } }, history, workflowId);
}

/** Names of the files of a folder, which hold a history each. */
export function committedHistories(folder: string): string[] {
  return readdirSync(folder).filter((file) => file.endsWith('.history.json'));
}

/** Replays a history that was committed. */
export async function replayCommitted(folder: string, file: string): Promise<void> {
  const { workflowId, history } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  await replayHistory(History.fromObject(history), workflowId);
}

/** Replays a history of this version; writes it where `LETHE_RECORD` is set and it has a name. */
export async function replayAndRecord(
  folder: string,
  history: FetchedHistory,
  workflowId: string,
  name?: string,
): Promise<void> {
  await replayHistory(history, workflowId);
  if (process.env.LETHE_RECORD && name) record(folder, name, workflowId, history);
}

function record(folder: string, name: string, workflowId: string, history: FetchedHistory): void {
  mkdirSync(folder, { recursive: true });
  const plain = History.toObject(History.fromObject(history), {
    longs: String,
    enums: String,
    bytes: String,
  });
  // Who polled is of no interest to a replay, and names a machine.
  const scrubbed = JSON.stringify({ workflowId, history: plain })
    .replace(/"(identity|lastWorkerIdentity|stackTrace)":"([^"\\]|\\.)*"/g, '"$1":""')
    .replace(/"name":"\d+@[^"]*"/g, '"name":"sticky"');
  writeFileSync(join(folder, `${name}.history.json`), `${scrubbed}\n`);
}
