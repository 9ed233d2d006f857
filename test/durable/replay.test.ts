import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { progressOf, type ReplayHandle, type SyncHandle, startReplay } from '../../workers/runs.js';
import { RUN_ATTRIBUTE } from '../../workflows/attributes.js';
import { captureSdkLog } from '../harness/runtime.js';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import {
  committedHistories,
  type Execution,
  executionOf,
  replayAndRecord,
  replayCommitted,
} from './histories.js';
import { ask, jobOf, openReplayStage, type ReplayStage } from './replay-stage.js';

/*
 * Workflows must replay the histories of runs that an older version started. `LETHE_RECORD=1` writes the histories of
 * the runs below into histories/, named by scenario; without it they are only replayed. A committed history is never
 * recorded again because a test fails: then a change has broken runs that are under way.
 */
const FOLDER = new URL('histories/', import.meta.url).pathname;

beforeAll(captureSdkLog);

describe('histories of earlier versions', () => {
  const files = committedHistories(FOLDER);

  let replayed: Map<string, Error | undefined>;
  beforeAll(async () => {
    replayed = await replayCommitted(FOLDER, files);
  });

  it.each(files)('%s replays', (file) => expect(replayed.get(file)).toBeUndefined());

  it('cover every workflow and every end', () => {
    const names = files.map((file) => file.replace(/\.\d+\.history\.json$/, ''));
    expect([...new Set(names)].sort()).toEqual([
      'cancelled-holdSnapshot',
      'cancelled-syncJob',
      'cancelled-syncTable',
      'complete-holdSnapshot',
      'complete-syncJob',
      'complete-syncTable',
      'continued-holdSnapshot',
      'continued-syncJob',
      'continued-syncTable',
      'quarantined-holdSnapshot',
      'quarantined-syncJob',
      'quarantined-syncTable',
      'refused-replay-replayFailedBatches',
      'replayed-holdSnapshot',
      'replayed-replayFailedBatches',
      'unknown-job-syncJob',
      'waited-syncJob',
    ]);
  });
});

describe('histories of this version', () => {
  let stage: ReplayStage;
  let source: TestDatabase;
  let destination: TestDatabase;
  beforeAll(async () => {
    stage = await openReplayStage();
    source = await createDatabase(18);
    destination = await createDatabase(18);
    await ask(source, TABLES, ROWS, KEYS);
    await ask(destination, TABLES, KEYS);
  });
  afterAll(async () => {
    await stage.stop();
    await source.drop();
    await destination.drop();
  });

  const start = (input: object) => stage.start({ file: jobOf(stage, source, destination), ...input });

  it('a run to its end', async () => {
    const handle = await start({});
    await handle.result();
    await check(stage.client, handle, 'complete');
  });

  it('runs that continue as new', async () => {
    const handle = await start({ tuning: { historyLimit: 25 } });
    await handle.result();
    const legs = await check(stage.client, handle, 'continued');
    expect(legs.filter((leg) => leg === 'syncJob').length).toBeGreaterThan(1);
    expect(legs.filter((leg) => leg === 'syncTable').length).toBeGreaterThan(4);
  });

  it('a run that is cancelled under way', async () => {
    const handle = await start({});
    await stage.loading(handle);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    await check(stage.client, handle, 'cancelled');
  });

  it('a run with rows in quarantine', async () => {
    await ask(destination, 'ALTER TABLE item ADD CONSTRAINT few CHECK (id <> 77)');
    const handle = await start({});
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'RowsQuarantined' } });
    await check(stage.client, handle, 'quarantined');
  });

  it('a replay, and one of a run that is complete by then', async () => {
    await ask(destination, 'ALTER TABLE item DROP CONSTRAINT IF EXISTS few');
    await ask(destination, 'ALTER TABLE visit ADD CONSTRAINT fewer CHECK (id <> 88) NOT VALID');
    const handle = await start({});
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'RowsQuarantined' } });
    await ask(destination, 'ALTER TABLE visit DROP CONSTRAINT fewer');
    const run = (await handle.describe()).typedSearchAttributes.get(RUN_ATTRIBUTE)!;
    const input = { run, file: jobOf(stage, source, destination) };
    const replayed = await startReplay(stage.client, { job: 'replay', run }, input, stage.taskQueue);
    await replayed.result();
    await check(stage.client, replayed, 'replayed');
    const refused = await startReplay(stage.client, { job: 'replay', run }, input, stage.taskQueue);
    await expect(refused.result()).rejects.toMatchObject({ cause: { type: 'NothingToReplay' } });
    // The same workflow id: only its last execution is meant.
    await replayAndRecord(FOLDER, [await executionOf(refused, 'refused-replay-replayFailedBatches.1')]);
  });

  it('a run that waits for its replay', async () => {
    await ask(destination, 'ALTER TABLE visit ADD CONSTRAINT fewest CHECK (id <> 99) NOT VALID');
    const { name, text } = jobOf(stage, source, destination);
    const handle = await start({
      file: { name, text: `${text}onFailure: { quarantine: 9, wait: 1h }\n` },
    });
    const waits = async () => (await progressOf(handle))?.phase === 'waiting';
    await vi.waitUntil(waits, { timeout: 200_000, interval: 200 });
    await expect(handle.executeUpdate('replay')).rejects.toThrow();
    await ask(destination, 'ALTER TABLE visit DROP CONSTRAINT fewest');
    await handle.executeUpdate('replay', { args: [{ tables: ['public.visit'] }] });
    await handle.result();
    await replayAndRecord(FOLDER, [await executionOf(handle, 'waited-syncJob.1')]);
  });

  it('a run of no known job', async () => {
    const handle = await stage.start({ job: 'nobody' });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'UnknownJob' } });
    await check(stage.client, handle, 'unknown-job');
  });
});

type Handle = SyncHandle | ReplayHandle;

/** Replays all workflows of a run, each leg of those that continued as new; returns their types. */
async function check(client: Client, handle: Handle, scenario: string): Promise<string[]> {
  const query = `WorkflowId = '${handle.workflowId}' OR WorkflowId STARTS_WITH '${await idPrefix(handle)}'`;
  // Visibility lags behind: the snapshot's workflow is the last to close.
  await vi.waitUntil(async () => !(await anyRunning(client, query)), { timeout: 60_000, interval: 200 });
  return replayEach(client, query, scenario);
}

async function replayEach(client: Client, query: string, scenario: string): Promise<string[]> {
  const executions: Execution[] = [];
  const types: string[] = [];
  const counts = new Map<string, number>();
  for await (const { workflowId, runId, type } of client.workflow.list({ query })) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    types.push(type);
    const n = (counts.get(type) ?? 0) + 1;
    counts.set(type, n);
    executions.push({ workflowId, history, name: n <= 3 ? `${scenario}-${type}.${n}` : undefined });
  }
  await replayAndRecord(FOLDER, executions);
  return types;
}

async function anyRunning(client: Client, query: string): Promise<boolean> {
  let seen = 0;
  for await (const { status } of client.workflow.list({ query })) {
    seen += 1;
    if (status.name === 'RUNNING') return true;
  }
  return seen === 0;
}

/** Children are named after Lethe's run id, which the root has as a search attribute. */
async function idPrefix(handle: Handle): Promise<string> {
  if (handle.workflowId.startsWith('replay:')) return `${handle.workflowId}/`;
  const run = (await handle.describe()).typedSearchAttributes.get(RUN_ATTRIBUTE);
  return run ? `sync:replay:${run}/` : `${handle.workflowId}/`;
}

const TABLES = `
  CREATE TABLE kind (id int PRIMARY KEY, name text NOT NULL);
  CREATE TABLE owner (id int PRIMARY KEY, email text NOT NULL UNIQUE);
  CREATE TABLE item (id int PRIMARY KEY, owner_id int NOT NULL, note text NOT NULL);
  CREATE TABLE visit (id int PRIMARY KEY, owner_id int NOT NULL, note text NOT NULL)`;
const ROWS = `
  INSERT INTO kind SELECT n, 'kind ' || n FROM generate_series(1, 10) n;
  INSERT INTO owner SELECT n, 'owner' || n || '@zq.example' FROM generate_series(1, 2000) n;
  INSERT INTO item SELECT n, 1 + n % 2000, repeat('some text of item ' || n || ' ', 8) FROM generate_series(1, 30000) n;
  INSERT INTO visit SELECT n, 1 + n % 2000, repeat('some text of visit ' || n || ' ', 8) FROM generate_series(1, 30000) n;
  ANALYZE`;
const KEYS = `
  ALTER TABLE item ADD FOREIGN KEY (owner_id) REFERENCES owner;
  ALTER TABLE visit ADD FOREIGN KEY (owner_id) REFERENCES owner`;
