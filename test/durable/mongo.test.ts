import { createHash, randomUUID } from 'node:crypto';
import { type Document, type Filter, Int32, ObjectId } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Revealer } from '../../retention/token/revealer.js';
import { Keyring } from '../../retention/token/ring.js';
import { startProxy, type TcpProxy } from '../harness/proxy.js';
import { mongo, type TestMongo } from '../harness/servers.js';
import { type Ends, failureOf, openStage, type Stage, until } from './fixture.js';
import { type Keys, openKeys } from './keys-fixture.js';
import { WorkerProcess } from './processes.js';

/** Half of them kill a worker, half cut its connections. */
const DISTURBANCES = Number(process.env.LETHE_DISTURBANCES ?? 6);
/** Enough batches that the run is not over before the last disturbance. */
const CUSTOMERS = Math.max(2_400, 300 * DISTURBANCES);
const ORDERS = 2 * CUSTOMERS;
/** Small collections would be loaded by one activity. */
const FILLER = 'x'.repeat(Math.ceil(4_500_000 / CUSTOMERS));
const TUNING = { heartbeatSeconds: 2 };
const KEY = Buffer.alloc(32, 9).toString('base64');

let server: TestMongo;
let stage: Stage;
let keys: Keys;
let proxy: TcpProxy;
let from: string;

beforeAll(async () => {
  [server, stage, keys] = await Promise.all([mongo(), openStage({ worker: false }), openKeys()]);
  const { hostname, port } = new URL(server.url('x').replace(/^mongodb(\+srv)?:/, 'http:'));
  proxy = await startProxy(hostname, Number(port || 27_017));
  from = server.database('shop');
  const db = server.client.db(from);
  await db.collection<{ _id: number }>('customers').insertMany(
    Array.from({ length: CUSTOMERS }, (_, at) => ({
      _id: at,
      name: `Marker Person${at}`,
      email: `person${at}@marker.example`,
      number: at,
      seen: seenOf(at),
      filler: FILLER,
    })),
  );
  await db.collection('orders').insertMany(
    Array.from({ length: ORDERS }, (_, at) => ({
      _id: new ObjectId(at.toString(16).padStart(24, '0')),
      customer: new Int32((at * 7) % CUSTOMERS),
      to: `Marker Person${at}`,
      filler: FILLER,
    })),
  );
  await db.collection('customers').createIndex({ email: 1 }, { unique: true });
});
afterAll(async () => {
  await proxy?.close();
  await stage?.stop();
  await keys?.drop();
  await server?.close();
});

/** What is sealed of a customer. */
function seenOf(number: number): string {
  return `Marker of ${number}`;
}

/**
 * A destination of its own, behind references that only worker processes can resolve.
 *
 * @param through Its connections go through the proxy, and what was seen of customers is sealed; else it is dropped.
 */
function newCopy(through: boolean) {
  const to = server.database('copy');
  const id = randomUUID().replaceAll('-', '').toUpperCase();
  const url = (database: string) => {
    const plain = server.url(database);
    if (!through) return plain;
    const [host] = /(?<=@|\/\/)[^/@]+(?=\/)/.exec(plain)!;
    const direct = plain.includes('directConnection')
      ? ''
      : `${plain.includes('?') ? '&' : '?'}directConnection=true`;
    return plain.replace(host, `127.0.0.1:${proxy.port}`) + direct;
  };
  const env = { [`S_${id}`]: url(from), [`D_${id}`]: url(to), [`K_${id}`]: KEY, ...keys.env };
  const text = `job: shop
source: { mongodb: env:S_${id} }
destination: { mongodb: env:D_${id} }
key: env:K_${id}
${through ? 'retention: ./retention.yaml\n' : ''}batchRows: 100
concurrency: 6
references: ["${from}.orders.customer -> ${from}.customers._id"]
collections:
  ${from}.customers: { fields: { _id: permute, name: fullName, email: email, number: keep, seen: ${through ? '{ retain: us }' : 'drop'}, filler: keep } }
  ${from}.orders: { fields: { to: fullName, filler: keep } }
`;
  const retention = { name: 'retention.yaml', text: keys.ref.file.text };
  return { to, env, file: { name: 'shop.yaml', text, ...(through && { retention }) } };
}

type Copy = ReturnType<typeof newCopy>;

function newWorker({ env }: Copy): WorkerProcess {
  return new WorkerProcess(stage, { env } as unknown as Ends);
}

/** A hash of each collection's documents, byte for byte, but for what one of the copies seals. */
async function contents(database: string): Promise<string[]> {
  const hashes = ['customers', 'orders'].map(async (name) => {
    const found = server.client
      .db(database)
      .collection(name)
      .find({}, { raw: true, projection: { seen: 0 } })
      .sort({ _id: 1 });
    const hash = createHash('sha256');
    for (const document of (await found.toArray()) as unknown as Uint8Array[]) hash.update(document);
    return hash.digest('hex');
  });
  return Promise.all(hashes);
}

/** What the tokens of a copy open to, in the order of the customers' numbers. */
async function opened(database: string): Promise<(string | undefined)[]> {
  const customers = await server.client.db(database).collection('customers').find().toArray();
  const revealer = new Revealer(new Keyring(await keys.store.rings()));
  return customers
    .sort((a, b) => Number(a.number) - Number(b.number))
    .map(({ seen }) => revealer.open(String(seen)).text);
}

function batches({ to }: Copy, filter: Filter<Document>): Promise<number> {
  return server.client.db(to).collection('lethe.batch').countDocuments(filter);
}

function committed(copy: Copy): Promise<number> {
  return batches(copy, { state: 'committed' });
}

function underWay(copy: Copy): Promise<number> {
  return batches(copy, { state: 'claimed' });
}

/** What Temporal keeps of a run's workflows. */
async function histories(run: string): Promise<string> {
  const ids = [`${from}.customers`, `${from}.orders`].map((name) => `sync:shop:${run}/${name}`);
  const texts = ids.map(async (id) =>
    JSON.stringify(await stage.client.workflow.getHandle(id).fetchHistory()),
  );
  return (await Promise.all(texts)).join('\n');
}

test(`a run that loses its worker or its connections ${DISTURBANCES} times ends as one that nobody disturbed`, async () => {
  const calm = newCopy(false);
  const quiet = newWorker(calm);
  await quiet.ready();
  const { verdict } = await (await stage.start('shop', { file: calm.file })).result();
  await quiet.stop();
  expect(verdict).toMatchObject({ ok: true, rows: CUSTOMERS + ORDERS, quarantined: [] });

  const copy = newCopy(true);
  // The next one starts while one works, so that the run seldom waits for a process to start.
  let [worker, next] = [newWorker(copy), newWorker(copy)];
  await worker.ready();
  const handle = await stage.start('shop', { file: copy.file, tuning: TUNING });
  let over = false;
  const result = handle.result().finally(() => {
    over = true;
  });
  result.catch(() => undefined);
  let log = '';
  for (let at = 0; at < DISTURBANCES; at += 1) {
    const goal = (await committed(copy)) + 2;
    await until('batches move', async () => over || (await committed(copy)) >= goal, 240_000);
    expect(over, `the run ended after ${at} disturbances`).toBe(false);
    if (at % 2 === 0) {
      await until('a batch is under way', async () => over || (await underWay(copy)) > 0);
      // It holds what it holds until the next one is there: the run must not be over by then.
      worker.freeze();
      await next.ready();
      await worker.kill();
      log += worker.log;
      worker = next;
      next = newWorker(copy);
    } else {
      await until('connections are cut', async () => over || proxy.cut() > 0);
    }
  }
  const ended = await result;
  expect(ended.verdict).toMatchObject({ ok: true, rows: CUSTOMERS + ORDERS, quarantined: [] });
  expect(await contents(copy.to)).toEqual(await contents(calm.to));
  expect(await opened(copy.to)).toEqual(Array.from({ length: CUSTOMERS }, (_, at) => seenOf(at)));
  const written = await server.client.db(copy.to).collection('lethe.batch').find().toArray();
  expect(written.reduce((sum, { rows }) => sum + Number(rows), 0)).toBe(CUSTOMERS + ORDERS);
  const names = (await server.client.db(copy.to).listCollections().toArray()).map(({ name }) => name);
  expect(names.filter((name) => name.startsWith(`lethe.${ended.run}`))).toEqual([]);
  expect(
    (await server.client.db(copy.to).collection('customers').indexes()).map(({ name }) => name),
  ).toContain('email_1');
  // Some batches were begun again, so the disturbances did come in the middle of them.
  expect(await batches(copy, { attempt: { $gt: 1 } })).toBeGreaterThan(0);
  await Promise.all([worker.stop(), next.stop()]);
  expect((await histories(ended.run)) + log + worker.log + next.log).not.toMatch(/Marker|marker\.example/);
}, 900_000);

test('a run that is cancelled leaves the destination as it was', async () => {
  const copy = newCopy(false);
  const worker = newWorker(copy);
  await worker.ready();
  const handle = await stage.start('shop', { file: copy.file, tuning: TUNING });
  await until('batches move', async () => (await committed(copy)) >= 3, 240_000);
  await handle.cancel();
  expect((await failureOf(handle)).type).toBe('CancelledFailure');
  const names = (await server.client.db(copy.to).listCollections().toArray()).map(({ name }) => name);
  expect(names.filter((name) => !/^lethe\.[a-z]+$/.test(name))).toEqual([]);
  expect(await server.client.db(copy.to).collection('lethe.run').findOne()).toMatchObject({
    state: 'cancelled',
  });
  await worker.stop();
}, 300_000);
