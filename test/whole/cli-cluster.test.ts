import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDatabase, type TestDatabase, temporal, uniqueTaskQueue } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* `lethe` on a cluster: a worker process, detached runs, schedules, cancellation. */

const desk = new Desk();
const queue = uniqueTaskQueue('cli');
let source: TestDatabase;
let destination: TestDatabase;
let worker: ReturnType<Desk['start']> | undefined;

async function sql(database: TestDatabase, text: string): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const JOB = `job: ${queue}
source: { postgres: env:PEOPLE_URL }
destination: { postgres: env:COPY_URL }
key: env:LETHE_KEY
schedule: { cron: "0 3 * * *", timezone: Europe/Berlin }
tables:
  public.person: { columns: { id: permute, name: firstName } }
`;

beforeAll(async () => {
  source = await createDatabase();
  destination = await createDatabase();
  const schema = 'CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL);';
  await sql(source, `${schema} INSERT INTO person SELECT i, 'Zebulon' FROM generate_series(1, 500) i`);
  await sql(destination, schema);
  mkdirSync(join(desk.folder, 'jobs'));
  desk.write('jobs/people.yaml', JOB);
  const { address, namespace } = await temporal();
  Object.assign(desk.env, {
    PEOPLE_URL: source.url,
    COPY_URL: destination.url,
    LETHE_KEY: Buffer.alloc(32, 7).toString('base64'),
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
  });
});

afterAll(async () => {
  worker?.child.kill('SIGTERM');
  await worker?.result;
  desk.clear();
  await source?.drop();
  await destination?.drop();
});

const onQueue = ['--task-queue', queue];

it('a run waits for a worker, and says so; Ctrl-C leaves it running', async () => {
  const sync = desk.start('sync', queue, ...onQueue);
  await sync.until('No worker asks for tasks');
  sync.child.kill('SIGINT');
  expect(await sync.result).toMatchObject({ code: 130, err: expect.stringContaining('The run goes on') });
});

it('the worker that starts then does it, and the job is known by its name', async () => {
  worker = desk.start('worker', ...onQueue, '--grace', '2');
  await worker.until('Worker on');
  const sync = await desk.lethe('sync', queue, ...onQueue, '--json');
  expect(sync).toMatchObject({ code: expect.any(Number) });
  const outcome = JSON.parse(sync.out) as { rows?: number; error?: { type: string } };
  // The first run may still be writing; then this one is refused.
  if (sync.code !== 0) expect(outcome.error?.type).toBe('DestinationBusy');
  const runs = JSON.parse((await desk.lethe('runs', '--json')).out) as { job: string }[];
  expect(runs.length).toBeGreaterThanOrEqual(1);
  expect(runs.every(({ job }) => job === queue)).toBe(true);
});

it('a detached run prints its workflow and goes on', async () => {
  const detached = await desk.lethe('sync', queue, ...onQueue, '--detach');
  expect(detached).toMatchObject({ code: 0, out: expect.stringMatching(new RegExp(`^sync:${queue}:`)) });
});

it('apply makes a schedule, then updates it, and keeps it paused', async () => {
  const created = await desk.lethe('apply', queue, ...onQueue, '--json');
  expect(JSON.parse(created.out)).toMatchObject({ id: `sync:${queue}`, action: 'created', paused: false });
  const { Client, Connection } = await import('@temporalio/client');
  const connection = await Connection.connect({ address: desk.env.TEMPORAL_ADDRESS! });
  const client = new Client({ connection });
  await client.schedule.getHandle(`sync:${queue}`).pause();
  const updated = await desk.lethe('apply', queue, ...onQueue, '--json');
  expect(JSON.parse(updated.out)).toMatchObject({ action: 'updated', paused: true });
  const { spec, action } = await client.schedule.getHandle(`sync:${queue}`).describe();
  expect(spec.timezone).toBe('Europe/Berlin');
  expect(JSON.stringify(action)).not.toContain(desk.env.LETHE_KEY);
  await connection.close();
  expect(await desk.lethe('apply', queue, '--remove')).toMatchObject({
    code: 0,
    out: expect.stringContaining('is gone'),
  });
  expect(await desk.lethe('apply', queue, '--remove')).toMatchObject({
    code: 0,
    out: expect.stringContaining('has no schedule'),
  });
});

it('doctor finds the worker', async () => {
  const { code, out } = await desk.lethe('doctor', queue, '--json');
  expect(code).toBe(0);
  expect(JSON.parse(out)).toContainEqual(expect.objectContaining({ name: 'Search attributes', state: 'ok' }));
});

it('a cluster that is not there is exit code 3', async () => {
  const other = new Desk();
  Object.assign(other.env, desk.env, {
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    LETHE_JOBS: join(desk.folder, 'jobs'),
  });
  expect(await other.lethe('sync', queue)).toMatchObject({
    code: 3,
    err: expect.stringContaining('TEMPORAL_ADDRESS'),
  });
  other.clear();
});

it('a worker drains at SIGTERM', async () => {
  worker?.child.kill('SIGTERM');
  expect(await worker?.result).toMatchObject({ code: 0, err: expect.stringContaining('Stopping') });
  worker = undefined;
});
