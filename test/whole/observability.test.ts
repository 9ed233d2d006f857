import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '../../embedded/process.js';
import { createDatabase, type TestDatabase, temporal, uniqueTaskQueue } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* What a worker tells those who watch it: metrics, health, log lines; and what deploy/ makes of the metrics. */

const desk = new Desk();
const queue = uniqueTaskQueue('watched');
let source: TestDatabase;
let destination: TestDatabase;
let keys: TestDatabase;
let metrics = '';
let health = '';
let worker: ReturnType<Desk['start']>;

const JOB = `job: ${queue}
source: { postgres: env:PEOPLE_URL }
destination: { postgres: env:COPY_URL }
key: env:LETHE_KEY
onFailure: { quarantine: 5 }
schedule: { cron: "0 3 * * *", timezone: UTC }
tables:
  public.person: { accept: [short], columns: { id: permute, name: firstName, note: keep } }
`;

const RETENTION = `retention:
  stores:
    watched:
      postgres: env:WATCHED_KEYS_URL
      masters: { file: ${join(desk.folder, 'masters')} }
      copy: ${join(desk.folder, 'copy')}
      signing: env:LETHE_KEY
  policies: [{ id: ip, window: 30 }]
`;

async function sql(database: TestDatabase, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

async function served(): Promise<string> {
  return (await fetch(`http://${metrics}/metrics`)).text();
}

async function until(what: string, probe: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1_200; i++) {
    if (await probe().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain until ${what}`);
}

beforeAll(async () => {
  source = await createDatabase();
  destination = await createDatabase();
  keys = await createDatabase();
  const table = 'CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL, note text);';
  await sql(
    source,
    `${table} INSERT INTO person SELECT i, 'Zebulon', 'n' || i FROM generate_series(1, 300) i; UPDATE person SET note = 'far too long' WHERE id = 9`,
  );
  await sql(destination, `${table} ALTER TABLE person ADD CONSTRAINT short CHECK (length(note) < 9)`);
  mkdirSync(join(desk.folder, 'jobs'));
  desk.write('jobs/people.yaml', JOB);
  const { address, namespace } = await temporal();
  metrics = `127.0.0.1:${await freePort()}`;
  health = `127.0.0.1:${await freePort()}`;
  Object.assign(desk.env, {
    ...{
      PEOPLE_URL: source.url,
      COPY_URL: destination.url,
      WATCHED_KEYS_URL: keys.url,
      LETHE_KEY: Buffer.alloc(32, 7).toString('base64'),
    },
    ...{ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
    ...{ LETHE_METRICS: metrics, LETHE_HEALTH: health, LETHE_LOG: 'json' },
  });
  desk.write('retention.yaml', RETENTION);
  expect(await desk.lethe('retention', 'apply', '--no-schedules')).toMatchObject({ code: 0 });
  worker = desk.start('worker', '--task-queue', queue);
  await until('the worker is ready', async () => (await fetch(`http://${health}/readyz`)).status === 200);
});

afterAll(async () => {
  worker?.child.kill('SIGTERM');
  await worker?.result;
  await desk.lethe('apply', 'jobs/people.yaml', '--remove').catch(() => undefined);
  desk.clear();
  await source?.drop();
  await destination?.drop();
  await keys?.drop();
});

test('the worker counts what it does, by job and table', async () => {
  const began = Math.floor(Date.now() / 1000) - 1;
  expect(await desk.lethe('apply', 'jobs/people.yaml', '--task-queue', queue)).toMatchObject({ code: 0 });
  const sync = await desk.lethe('sync', 'jobs/people.yaml', '--task-queue', queue);
  expect(sync.code, sync.out + sync.err).toBe(1);
  await until('the schedule was looked at', async () =>
    (await served()).includes('lethe_schedule_lag_seconds'),
  );
  const text = await served();
  const labels = (name: string) =>
    new RegExp(`^${name}\\{[^}]*job="${queue}"[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1];
  expect(labels('lethe_rows_written')).toBe('299');
  expect(labels('lethe_rows_quarantined')).toBe('1');
  expect(labels('lethe_runs')).toBe('1');
  // Of which a failure is known also to a worker that has just begun to count.
  expect(Number(labels('lethe_last_failed_timestamp_seconds'))).toBeGreaterThan(began);
  expect(labels('lethe_last_complete_timestamp_seconds')).toBeUndefined();
  expect(labels('lethe_quarantine_rows')).toBe('1');
  expect(text).toMatch(/^lethe_batches\{[^}]*state="committed"[^}]*table="public\.person"/m);
  expect(text).not.toMatch(/Zebulon|far too long/);
});

test('dashboard and alerts ask for nothing that is not served', async () => {
  await sql(source, `UPDATE person SET note = 'fits' WHERE id = 9`);
  const sync = await desk.lethe('sync', 'jobs/people.yaml', '--task-queue', queue);
  expect(sync.code, sync.out + sync.err).toBe(0);
  await until('the key store was looked at', async () => (await served()).includes('lethe_keys_live_days'));
  const text = await served();
  const names = new Set([...text.matchAll(/^(\w+)[{ ]/gm)].map(([, name]) => name));
  const files = ['deploy/grafana/lethe.json', 'deploy/prometheus/alerts.yml'];
  for (const file of files) {
    const asked = new Set(readFileSync(resolve(file), 'utf8').match(/\b(lethe|temporal)_[a-z_]+\b/g));
    expect(asked.size).toBeGreaterThan(5);
    for (const name of asked) expect(names, `${file}: ${name}`).toContain(name);
  }
  const dashboard = JSON.parse(readFileSync(resolve(files[0]!), 'utf8')) as { panels: { id: number }[] };
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const { groups } = parse(readFileSync(resolve(files[1]!), 'utf8')) as { groups: { rules: object[] }[] };
  for (const rule of groups.flatMap(({ rules }) => rules)) {
    expect(rule).toMatchObject({
      alert: expect.any(String),
      expr: expect.any(String),
      annotations: { summary: expect.any(String) },
    });
  }
});

test('health says whether it polls', async () => {
  const ask = async (path: string) => {
    const response = await fetch(`http://${health}${path}`);
    return [response.status, (await response.text()).trim()];
  };
  expect(await ask('/healthz')).toEqual([200, 'ok']);
  expect(await ask('/readyz')).toEqual([200, 'ready']);
  expect((await ask('/metrics'))[0]).toBe(404);
});

test('what it logs is one JSON object a line', async () => {
  worker.child.kill('SIGTERM');
  const { code, err } = await worker.result;
  expect(code).toBe(0);
  const lines = err
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { time: string; level: string; message: string });
  expect(lines.every(({ time, level }) => !Number.isNaN(Date.parse(time)) && /^[A-Z]+$/.test(level))).toBe(
    true,
  );
  expect(lines.map(({ message }) => message).join('\n')).toContain('Worker on');
  expect(err).not.toMatch(/Zebulon|far too long/);
});
