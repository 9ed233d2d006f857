import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { expect } from 'vitest';

/* Histories that stand in the repository: how they are read, replayed and, where that is asked for, written. */

const BUNDLE = new URL('../../dist/workflow-bundle.js', import.meta.url).pathname;
const { History } = proto.temporal.api.history.v1;

/** As a workflow's handle gives it. */
export type FetchedHistory = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

/** What one execution did, and the name that its history is recorded by, if it is. */
export interface Execution {
  readonly workflowId: string;
  readonly history: FetchedHistory;
  readonly name?: string | undefined;
}

/** The latest execution of a handle's workflow. */
export async function executionOf(handle: WorkflowHandle, name: string): Promise<Execution> {
  return { workflowId: handle.workflowId, history: await handle.fetchHistory(), name };
}

/**
 * Runs the workflows as they are built against what executions did, all in one worker: to start one takes longer than
 * a replay. Gives what went wrong in each, in their order.
 */
async function replayAll(executions: readonly Execution[]): Promise<(Error | undefined)[]> {
  const workflowBundle = { code: readFileSync(BUNDLE, 'utf8') };
  const errors: (Error | undefined)[] = [];
  for await (const { error } of Worker.runReplayHistories({ workflowBundle }, executions)) errors.push(error);
  return errors;
}

/** Names of the files of a folder, which hold a history each. */
export function committedHistories(folder: string): string[] {
  return readdirSync(folder).filter((file) => file.endsWith('.history.json'));
}

/** Replays histories that were committed. Gives what went wrong by file, or undefined for one that replays. */
export async function replayCommitted(
  folder: string,
  files: readonly string[],
): Promise<Map<string, Error | undefined>> {
  const executions = files.map((file): Execution => {
    const { workflowId, history } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    return { workflowId, history: History.fromObject(history) };
  });
  const errors = await replayAll(executions);
  expect(errors).toHaveLength(files.length);
  return new Map(files.map((file, i) => [file, errors[i]]));
}

/** Replays histories of this version; writes those that have a name where `LETHE_RECORD` is set. */
export async function replayAndRecord(folder: string, executions: readonly Execution[]): Promise<void> {
  const errors = await replayAll(executions);
  expect(errors).toEqual(executions.map(() => undefined));
  for (const { name, workflowId, history } of executions) {
    if (process.env.LETHE_RECORD && name) record(folder, name, workflowId, history);
  }
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
