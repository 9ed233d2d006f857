import { mkdirSync, renameSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { resolveReference } from '../../job/references.js';
import { loadRetention } from '../../job/retention/load.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { query, withSession } from '../../postgres/session.js';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* `lethe retention` as an operator has it: a key store from its making to its loss, and a database that reads through it. */

const desk = new Desk();
const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 2, 10, 12);
let keys: TestDatabase;
let events: TestDatabase;

const retention = (folder: string) => `retention:
  stores:
    main:
      postgres: env:CLI_KEYS_URL
      masters: { file: ${join(folder, 'masters')} }
      copy: ${join(folder, 'copy')}
      signing: env:CLI_SIGNING
      simulated: true
  policies:
    - { id: ip, name: addresses, window: 30, context: log }
  tables:
    public.events:
      database: env:CLI_EVENTS_URL
      date: at
      readers: []
      trigger: true
      view: public.events_readable
      columns: { ip: ip }
`;

async function open(create = false): Promise<KeyStore> {
  const file = await loadRetention(join(desk.folder, 'retention.yaml'));
  return openKeyStore(file, 'main', resolveReference, { create, start: START });
}

beforeAll(async () => {
  [keys, events] = [await createDatabase(), await createDatabase()];
  mkdirSync(join(desk.folder, 'masters'), { mode: 0o700 });
  desk.write('retention.yaml', retention(desk.folder));
  Object.assign(desk.env, {
    CLI_KEYS_URL: keys.url,
    CLI_EVENTS_URL: events.url,
    CLI_SIGNING: Buffer.alloc(32, 9).toString('base64'),
  });
  Object.assign(process.env, desk.env);
});

afterAll(async () => {
  desk.clear();
  await keys.drop();
  await events.drop();
});

it('says what is missing before there is a store', async () => {
  const { code, err } = await desk.lethe('retention', 'status');
  expect(code).toBe(2);
  expect(err).toContain('lethe retention apply');
  const unknown = await desk.lethe('retention', 'status', '--store', 'other');
  expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('no key store "other"')]);
}, 120_000);

it('makes a store, its keys, and shows how it stands', async () => {
  await open(true);
  const refused = await desk.lethe('retention', 'apply');
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--no-schedules')]);
  const applied = await desk.lethe('retention', 'apply', 'retention.yaml', '--no-schedules');
  expect([applied.code, applied.out]).toEqual([
    0,
    expect.stringContaining('main: 3 day keys made; 1 policy'),
  ]);
  expect((await desk.lethe('retention', 'generate', '--json')).out).toContain('"made": 0');
  const [status] = JSON.parse((await desk.lethe('retention', 'status', '--json')).out);
  expect(status).toMatchObject({ store: 'main', simulated: true, policies: [{ id: 'ip', live: 3, due: 0 }] });
  expect((await desk.lethe('retention', 'status')).out).toContain('3, 2026-03-10 to 2026-03-12');
}, 120_000);

it('sets a database up, which reads with keys and not without', async () => {
  await inEvents('CREATE TABLE public.events (id int PRIMARY KEY, at timestamptz NOT NULL, ip text)');
  const dry = await desk.lethe('retention', 'install', '--dry-run');
  expect([dry.code, dry.out]).toEqual([0, expect.stringContaining('events_readable')]);
  const installed = await desk.lethe('retention', 'install');
  expect([installed.code, installed.err]).toEqual([0, '']);
  const insert = `INSERT INTO public.events VALUES (1, '2026-03-10 08:00Z', '192.0.2.7')`;
  const select = 'SELECT ip FROM public.events_readable';
  const stored = await client(insert, 'SELECT ip FROM public.events');
  expect(stored.out).toMatch(/lt1\.ip260310\./);
  expect((await client(select)).out).toContain('192.0.2.7');
  expect(await inEvents(select)).toEqual([{ ip: expect.stringMatching(/^\[/) }]);
}, 120_000);

it('destroys what is due, and only that, keeps what is held, and proves it', async () => {
  const held = await desk.lethe(
    'retention',
    'hold',
    'ip',
    '2026-03-11',
    '--actor',
    'officer',
    '--reason',
    'case 1',
  );
  expect(held.out).toContain('1 day of ip kept');
  await (await open()).setClock(START + 32 * DAY_MS);
  await desk.lethe('retention', 'generate');
  const destroyed = await desk.lethe('retention', 'destroy');
  expect([destroyed.code, destroyed.err]).toEqual([0, '']);
  expect(destroyed.out).toContain('ip 2026-03-10');
  expect(destroyed.out).not.toContain('ip 2026-03-11');
  expect(destroyed.out).toContain('1 day held');
  expect((await client('SELECT ip FROM public.events_readable')).out).toContain('[expired]');
  const verified = await desk.lethe('retention', 'verify');
  expect([verified.code, verified.out]).toEqual([0, expect.stringContaining('canaries')]);
  expect(verified.out).toContain('not checked');
  expect((await desk.lethe('retention', 'release', '1', '--actor', 'officer')).out).toContain(
    'hold 1 released',
  );
}, 240_000);

it('asks before keys go early, and before a window shrinks', async () => {
  const early = [
    'retention',
    'destroy',
    '--policy',
    'ip',
    '--day',
    '2026-04-12',
    '--actor',
    'me',
    '--reason',
    'a test',
  ];
  const asked = await desk.lethe(...early);
  expect([asked.code, asked.err]).toEqual([2, expect.stringContaining('--yes')]);
  expect((await desk.lethe(...early, '--yes')).out).toContain('ip 2026-04-12');
  const shrink = await desk.lethe('retention', 'shrink', 'ip', '14');
  expect([shrink.code, shrink.err]).toEqual([2, expect.stringContaining('from 30 to 14 days')]);
  expect((await desk.lethe('retention', 'shrink', 'ip', '14', '--yes')).out).toContain(
    '30 days before, 14 now',
  );
}, 240_000);

it('brings a lost store back from its second copy', async () => {
  await keys.drop();
  keys = await createDatabase();
  Object.assign(desk.env, { CLI_KEYS_URL: keys.url });
  Object.assign(process.env, desk.env);
  renameSync(join(desk.folder, 'masters'), join(desk.folder, 'lost'));
  mkdirSync(join(desk.folder, 'masters'), { mode: 0o700 });
  const restored = await desk.lethe('retention', 'restore');
  expect([restored.code, restored.err]).toEqual([0, '']);
  expect(restored.out).toMatch(/main: \d+ day keys? back, each opened/);
}, 120_000);

async function inEvents(sql: string): Promise<Record<string, string | null>[]> {
  return withSession({ url: events.url, role: 'destination', applicationName: 'test' }, (session) =>
    query(session, sql),
  );
}

/** Runs statements in a client that `lethe retention exec` starts, and shows the last rows. */
function client(...statements: string[]) {
  const script = `const pg = require(${JSON.stringify(resolve('node_modules/pg'))});
    (async () => {
      const client = new pg.Client({ connectionString: process.env.CLI_EVENTS_URL });
      await client.connect();
      let rows;
      for (const sql of ${JSON.stringify(statements)}) rows = (await client.query(sql)).rows;
      console.log(JSON.stringify(rows));
      await client.end();
    })();`;
  return desk.lethe('retention', 'exec', '--', process.execPath, '-e', script);
}
