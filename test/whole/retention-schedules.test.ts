import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../embedded/process.js';
import { loadRetention } from '../../job/retention/load.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { createDatabase, type TestDatabase, temporal, uniqueTaskQueue } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* Retention on a cluster: schedules by `lethe retention apply`, a worker that tells what is overdue, a run by hand. */

const desk = new Desk();
const queue = uniqueTaskQueue('days');
const name = `w${randomBytes(5).toString('hex')}`;
const START = Date.UTC(2026, 2, 10, 12);
const DAY_MS = 86_400_000;
let database: TestDatabase;
let store: KeyStore;
let connection: Connection;
let client: Client;
let worker: ReturnType<Desk['start']> | undefined;

beforeAll(async () => {
  database = await createDatabase();
  desk.write(
    'retention.yaml',
    `retention:
  stores:
    ${name}:
      postgres: env:DAYS_KEYS_URL
      masters: { file: ${join(desk.folder, 'masters')} }
      copy: ${join(desk.folder, 'copy')}
      signing: env:DAYS_SIGNING
      simulated: true
  policies:
    - { id: ip, name: addresses, window: 30 }
  schedules: { generate: "0 0 29 2 *", destroy: "0 0 29 2 *" }   # not while the test runs
`,
  );
  const { address, namespace } = await temporal();
  Object.assign(desk.env, {
    DAYS_KEYS_URL: database.url,
    DAYS_SIGNING: Buffer.alloc(32, 5).toString('base64'),
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
  });
  connection = await Connection.connect({ address });
  client = new Client({ connection, namespace });
  const file = await loadRetention(join(desk.folder, 'retention.yaml'));
  const resolve = async (reference: string) => desk.env[reference.replace('env:', '')] ?? '';
  store = await openKeyStore(file, name, resolve, { create: true, start: START });
});

afterAll(async () => {
  worker?.child.kill('SIGTERM');
  await worker?.result;
  await connection?.close();
  desk.clear();
  await database?.drop();
});

const apply = (...more: string[]) =>
  desk.lethe('retention', 'apply', 'retention.yaml', '--task-queue', queue, ...more);
const ids = [`generateDayKeys:${name}`, `destroyDayKeys:${name}`];

it('apply makes the first keys and two schedules, and keeps what somebody paused', async () => {
  const created = await apply('--json');
  expect([created.code, created.err]).toEqual([0, '']);
  expect(JSON.parse(created.out)).toMatchObject({
    stores: [{ store: name, made: 3 }],
    schedules: ids.map((id) => ({ id, action: 'created', paused: false })),
  });
  for (const id of ids) await client.schedule.getHandle(id).pause('looking at it');
  const updated = await apply();
  expect(updated.out).toContain(`Schedule ${ids[1]} updated, paused`);
  const { action } = await client.schedule.getHandle(ids[1]!).describe();
  expect(JSON.stringify(action)).not.toContain(desk.env.DAYS_SIGNING);
});

it('a worker tells what is overdue while nothing runs, and is rid of it once a run by hand destroyed it', async () => {
  await store.setClock(START + 32 * DAY_MS);
  const address = `127.0.0.1:${await freePort()}`;
  worker = desk.start('worker', '--task-queue', queue, '--metrics', address, '--grace', '1');
  await worker.until('Worker on');
  const labels = `policy="ip",store="${name}"`;
  const read = async (what: string, of = labels) => {
    const text = await fetch(`http://${address}/metrics`).then((response) => response.text());
    const line = text.split('\n').find((one) => one.startsWith(`lethe_keys_${what}{${of}}`));
    return line && Number(line.split(' ')[1]);
  };
  while ((await read('due_days')) === undefined) await sleep(200);
  expect(await read('due_days')).toBe(3);
  // Days of 10 March end on 9 April; it is 11 April, 12:00.
  expect(await read('overdue_seconds')).toBe(2.5 * 86_400);
  expect(await read('readable', `store="${name}"`)).toBe(1);
  const [status] = JSON.parse((await desk.lethe('retention', 'status', '--json')).out);
  expect(status).toMatchObject({ overdueSeconds: 2.5 * 86_400 });
  expect(status.alarms).toContainEqual(expect.stringContaining('have been due for 60 h'));

  const run = { taskQueue: queue, workflowId: `by-hand-${name}` };
  const destroyed = await client.workflow.execute('destroyDayKeys', { ...run, args: [{}] });
  expect(destroyed).toMatchObject([{ keyStore: name, destroyed: [1, 2, 3].map(() => ({ policy: 'ip' })) }]);
  const [after] = JSON.parse((await desk.lethe('retention', 'status', '--json')).out);
  expect(after).toMatchObject({ overdueSeconds: 0, policies: [{ due: 0, destroyed: 3 }] });
});

it('the schedules are taken away on request', async () => {
  expect((await apply('--remove')).out).toContain(`${ids.join(', ')} gone`);
  expect((await apply('--remove')).out).toContain('has no schedules');
});
