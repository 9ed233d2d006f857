import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mongo, type TestMongo, temporal } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* A user with two MongoDB databases and no Temporal cluster: from an empty folder to a copy, and what is refused. */

let server: TestMongo;
let desk: Desk;
let from: string;
let to: string;

beforeAll(async () => {
  server = await mongo();
  desk = new Desk();
  [from, to] = [server.database('from'), server.database('to')];
  Object.assign(desk.env, {
    SHOP_URL: server.url(from),
    STAGING_URL: server.url(to),
    LETHE_KEY: Buffer.alloc(32, 5).toString('base64'),
  });
  await server.client
    .db(from)
    .collection('customers')
    .insertMany(
      Array.from({ length: 50 }, (_, at) => ({
        email: `person${at}@marker.example`,
        first_name: 'Marker',
        visits: at,
        address: { street: `${at} Marker Street`, zip: null },
      })),
    );
});
afterAll(async () => {
  desk?.clear();
  await server?.close();
});

test('init drafts every field from a sample, and never a value', async () => {
  const { code, out, err } = await desk.lethe(
    ...['init', 'env:SHOP_URL', '--destination', 'env:STAGING_URL', '--job', 'shop', '--out', 'draft.yaml'],
  );
  expect({ code, out }).toEqual({ code: 0, out: '' });
  expect(err).toMatch(/1 collection, \d fields/);
  const draft = readFileSync(join(desk.folder, 'draft.yaml'), 'utf8');
  expect(draft).toContain(`${from}.customers:`);
  expect(draft).toMatch(/^ +email: email/m);
  expect(draft).toMatch(/^ +address\.street: street/m);
  expect(draft).toContain('source: { mongodb: env:SHOP_URL }');
  expect(draft).not.toContain('arker');
});

test('plan names what nobody decided; claim, sync, runs and show do the rest', async () => {
  const head = `job: shop
source: { mongodb: env:SHOP_URL }
destination: { mongodb: env:STAGING_URL }
key: env:LETHE_KEY
evidence: row
collections:
  ${from}.customers:
`;
  desk.write('open.yaml', `${head}    fields: { email: email, first_name: firstName, visits: keep }\n`);
  const open = await desk.lethe('plan', 'open.yaml');
  expect(open.code).toBe(2);
  expect(open.out.replace(/\s+/g, ' ')).toContain(
    `${from}.customers.address is decided by nobody (50 documents of about 50 looked at)`,
  );
  desk.write(
    'shop.yaml',
    `${head}    fields: { email: email, first_name: firstName, visits: keep, address.street: street, address.zip: keep }\n`,
  );
  const plan = await desk.lethe('plan', 'shop.yaml');
  expect(plan).toMatchObject({ code: 0 });
  expect(plan.out).toContain('address.street');

  await server.client.db(to).collection('customers').insertOne({ somebody: 'else' });
  const unclaimed = await desk.lethe('sync', 'shop.yaml');
  expect(unclaimed.code).toBe(2);
  expect(unclaimed.err).toContain('lethe claim');
  expect(await desk.lethe('claim', 'shop.yaml', '--yes')).toMatchObject({ code: 0 });
  const sync = await desk.lethe('sync', 'shop.yaml');
  expect(sync).toMatchObject({ code: 0 });
  expect(sync.out).toMatch(/50 documents in 1 collections, as many as the ledger says/);
  const copied = await server.client.db(to).collection('customers').find().toArray();
  expect(copied).toHaveLength(50);
  expect(JSON.stringify(copied)).not.toMatch(/arker/);
  expect(copied.map(({ visits }) => visits).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 50 }, (_, at) => at),
  );

  const runs = JSON.parse((await desk.lethe('runs', '--job', 'shop.yaml', '--json')).out) as {
    state: string;
  }[];
  expect(runs).toMatchObject([{ state: 'complete' }]);
  const shown = await desk.lethe('show', 'last', '--job', 'shop.yaml');
  expect(shown).toMatchObject({ code: 0 });
  expect(shown.out).toContain(`${from}.customers`);
  const doctor = await desk.lethe('doctor', 'shop.yaml');
  expect(doctor.out).toMatch(/Destination +MongoDB/);
  expect(doctor.code).toBe(0);
});

test('validate checks the copy once more, finds what somebody changed in it, and remembers', async () => {
  const validated = async (...more: string[]) => {
    const { code, out } = await desk.lethe('validate', 'shop.yaml', '--json', ...more);
    return { code, said: JSON.parse(out) as unknown };
  };
  const good = await validated();
  expect(good).toMatchObject({ code: 0, said: { job: 'shop', ok: true } });
  await server.client.db(to).collection('customers').insertOne({ email: 'somebody@else.example' });
  const bad = await validated();
  expect(bad).toMatchObject({ code: 1, said: { ok: false } });
  expect(JSON.stringify(bad.said)).toContain('51 documents, the ledger says 50');
  await server.client.db(to).collection('customers').deleteOne({ email: 'somebody@else.example' });
  const { said } = await validated('--history');
  expect(said).toMatchObject([
    { origin: 'validate', ok: false },
    { origin: 'validate', ok: true },
    { origin: 'run', ok: true },
  ]);
});

test('an export of the ledger is audited by itself, down to one document', async () => {
  const one = await server.client.db(from).collection('customers').findOne({ visits: 7 });
  expect(await desk.lethe('ledger', 'export', 'shop.yaml', '-o', 'ledger.jsonl')).toMatchObject({ code: 0 });
  const text = readFileSync(join(desk.folder, 'ledger.jsonl'), 'utf8');
  expect(text).not.toContain('arker');
  const row = ['--row', `${from}.customers`, String(one?._id)];
  const audited = async (...more: string[]) => {
    const { code, out } = await desk.lethe('audit', '--job', 'shop.yaml', '--json', ...more);
    return { code, ...(JSON.parse(out) as { ok: boolean; row?: { result: string } }) };
  };
  expect(await audited('--file', 'ledger.jsonl', ...row)).toMatchObject({
    code: 0,
    ok: true,
    row: { result: 'same', place: { batch: 0, row: 7 } },
  });
  expect(await audited(...row)).toMatchObject({ code: 0, row: { result: 'same' } });
  await server.client
    .db(from)
    .collection('customers')
    .updateOne({ visits: 7 }, { $set: { first_name: 'Eve' } });
  expect(await audited(...row)).toMatchObject({ code: 0, row: { result: 'different' } });
  const sampled = await desk.lethe('audit', '--job', 'shop.yaml');
  expect(sampled).toMatchObject({ code: 0 });
  expect(sampled.out).toContain('49 documents are as they were; changed or deleted since: 1');
  await server.client
    .db(from)
    .collection('customers')
    .updateOne({ visits: 7 }, { $set: { first_name: 'Marker' } });
  desk.write('edited.jsonl', text.replace('"rows":50', '"rows":49'));
  expect(await audited('--file', 'edited.jsonl')).toMatchObject({ code: 1, ok: false });
  const kept = await desk.lethe('ledger', 'prune', 'shop.yaml', '--keep-runs', '1', '--dry-run');
  expect(kept.out).toContain('0 runs would go');
});

test('grants prints the least roles, restore drops what a stopped run left, and only once', async () => {
  const { code, out } = await desk.lethe('grants', 'shop.yaml', '--source-role', 'reader');
  expect(code).toBe(0);
  expect(out).toContain(
    `{"resource":{"db":"${from}","collection":"customers"},"actions":["find","listIndexes","collStats"]}`,
  );
  expect(out).toContain('.grantRolesToUser("reader", [{ role: "lethe-shop-reads", db: "admin" }])');
  const db = server.client.db(to);
  const complete = await db
    .collection<{ _id: string; state: string; pins: string }>('lethe.run')
    .findOne({ state: 'complete' });
  const stopped = '0199aaaa-0000-7000-8000-000000000001';
  // It wrote into two databases.
  const other = server.database('other');
  const pins = JSON.parse(complete!.pins) as { plan: { tables: { destination: object }[] } };
  const [table] = pins.plan.tables;
  pins.plan.tables.push({ ...table!, destination: { schema: other, name: 'customers' } });
  const workflowId = `stopped-${other}`;
  await db.collection<{ _id: string }>('lethe.run').insertOne({
    ...complete,
    _id: stopped,
    ...{ state: 'loading', workflowId, seenAt: new Date(0), pins: JSON.stringify(pins) },
  });
  const [here, there] = [`lethe.${stopped}.1`, `lethe.${stopped}.2`];
  await db.collection(here).insertOne({ email: 'half' });
  await server.client.db(other).collection(there).insertOne({ email: 'half' });
  // Of a run that another ledger knows.
  const foreign = 'lethe.0199bbbb-0000-7000-8000-000000000001.1';
  await db.collection(foreign).insertOne({ email: 'whole' });
  const names = async (name: string) =>
    (await server.client.db(name).listCollections().toArray()).map((one) => one.name);

  // Paused, say: nobody has seen it for long, and its workflow is open.
  const { address, namespace } = await temporal();
  const connection = await Connection.connect({ address });
  const handle = await new Client({ connection, namespace }).workflow.start('syncJob', {
    ...{ workflowId, taskQueue: workflowId, args: [{}] },
  });
  Object.assign(desk.env, { TEMPORAL_ADDRESS: address });
  const refused = await desk.lethe('restore', 'shop.yaml');
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain('its workflow is open');
  expect([...(await names(to)), ...(await names(other))]).toEqual(expect.arrayContaining([here, there]));
  await handle.terminate();
  await connection.close();

  const restored = await desk.lethe('restore', 'shop.yaml');
  delete desk.env.TEMPORAL_ADDRESS;
  expect(restored).toMatchObject({ code: 0 });
  expect(restored.err).toContain(`Run ${stopped} of shop, loading: 2 collections of its own`);
  expect(restored.err).toContain('left alone: it may be alive');
  expect(restored.out).toContain('2 collections of ended runs dropped');
  expect(await names(other)).toEqual([]);
  expect(await names(to)).not.toContain(here);
  expect(await names(to)).toContain(foreign);
  expect((await desk.lethe('restore', 'shop.yaml')).out).toContain('Nothing else is left behind');
  expect(await desk.lethe('restore', 'shop.yaml', '--force')).toMatchObject({ code: 0 });
  expect(await names(to)).not.toContain(foreign);
  expect((await desk.lethe('restore', 'shop.yaml')).out).toContain('Nothing is left behind');
  expect(await db.collection('customers').countDocuments()).toBe(50);
  expect(await desk.lethe('ledger', 'prune', 'shop.yaml', '--keep-runs', '1')).toMatchObject({ code: 0 });
  expect(await db.collection('lethe.run').countDocuments()).toBe(1);
});

test('audit finds the ledger whole, and what was changed in it; report tells of the run', async () => {
  const audited = async () => {
    const { code, out } = await desk.lethe('audit', 'last', '--job', 'shop.yaml', '--json');
    return { code, ...(JSON.parse(out) as { ok: boolean; findings: { kind: string; check: string }[] }) };
  };
  const whole = await audited();
  expect(whole).toMatchObject({ code: 0, ok: true });
  expect(whole.findings.filter(({ kind }) => kind !== 'unchecked')).toEqual([]);
  const page = await desk.lethe('report', 'last', '--job', 'shop.yaml', '--out', 'run.html');
  expect(page).toMatchObject({ code: 0 });
  const html = readFileSync(join(desk.folder, 'run.html'), 'utf8');
  expect(html).toContain(`${from}.customers`);
  expect(html).not.toContain('arker');
  const batches = server.client.db(to).collection('lethe.batch');
  await batches.updateOne({}, { $inc: { rows: 1 } });
  expect(await audited()).toMatchObject({ code: 1, ok: false });
  await batches.updateOne({}, { $inc: { rows: -1 } });
});

test('explain says which rule hits a field of one document, and what it becomes', async () => {
  const one = await server.client.db(from).collection('customers').findOne({ visits: 7 });
  const copied = await server.client.db(to).collection('customers').findOne({ visits: 7 });
  const { code, out } = await desk.lethe(
    ...['explain', 'shop.yaml', `${from}.customers`, String(one?._id), '--json'],
  );
  expect(code).toBe(0);
  const { columns } = JSON.parse(out) as {
    columns: { column: string; before: string; after: string; branch: { apply: { name: string } } }[];
  };
  expect(columns.find(({ column }) => column === 'address.street')).toMatchObject({
    before: '7 Marker Street',
    after: copied?.address.street,
    branch: { apply: { name: 'street' } },
  });
  const missing = await desk.lethe('explain', 'shop.yaml', `${from}.customers`, 'nobody');
  expect(missing.err).toContain('no record with this key');
  const shown = await desk.lethe('plan', 'shop.yaml', '--show-values', '2');
  expect(shown.out).toContain('Marker Street');
});

test('a wrong password, a missing server and a mixed job are told plainly', async () => {
  desk.write(
    'away.yaml',
    `job: shop\nsource: { mongodb: env:AWAY }\ndestination: { mongodb: env:STAGING_URL }\nkey: env:LETHE_KEY\n`,
  );
  desk.env.AWAY = 'mongodb://127.0.0.1:1/shop?serverSelectionTimeoutMS=500';
  const away = await desk.lethe('plan', 'away.yaml');
  expect(away.code).toBe(3);
  expect(away.err).toContain('Unreachable');
  desk.env.NONSENSE = 'mongodb://user:p@ss@host:99999/x';
  const nonsense = await desk.lethe('init', 'env:NONSENSE');
  expect(nonsense.code).toBe(2);
  expect(nonsense.err).toContain('connection URL cannot be read');
  desk.write(
    'mixed.yaml',
    `job: shop\nsource: { postgres: env:AWAY }\ndestination: { mongodb: env:STAGING_URL }\nkey: env:LETHE_KEY\ntables: {}\n`,
  );
  const mixed = await desk.lethe('plan', 'mixed.yaml');
  expect(mixed.code).toBe(2);
  expect(mixed.err).toContain('both ends speak the same');
  expect(mixed.err).toContain('write collections');
});

test('plan prints the pipeline of a collection that is pushed down, without the key', async () => {
  desk.write(
    'pushed.yaml',
    `job: shop
source: { mongodb: env:SHOP_URL }
destination: { mongodb: env:STAGING_URL }
key: env:LETHE_KEY
collections:
  ${from}.customers:
    pushdown: true
    allowKeyOnServer: true
    fields: { '*': drop, _id: keep }
    derive: { dataHash: { from: email, apply: hash } }
`,
  );
  const { code, out } = await desk.lethe('plan', 'pushed.yaml');
  expect({ code }).toEqual({ code: 0 });
  expect(out).toContain('{"$project":{"_id":1,"dataHash":1}}');
  expect(out).toMatch(/"\$function":\{"body":"function of \d+ KB"/);
  expect(out).toContain('"$merge":{"into":{"db":');
  expect(out.replace(/\s+/g, ' ')).toContain('the profiler, logs and currentOp of the server may show them');
});
