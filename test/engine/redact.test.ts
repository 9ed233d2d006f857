import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseRetention } from '../../job/retention/load.js';
import { openKeyStore } from '../../postgres/keystore/open.js';
import { redactRecorded } from '../../postgres/retention/recording.js';
import { type RedactRequest, redactRows } from '../../postgres/retention/redact.js';
import { installTables } from '../../postgres/retention/tables.js';
import { query, withSession } from '../../postgres/session.js';
import { Keyring } from '../../retention/token/ring.js';
import { Sealer } from '../../retention/token/sealer.js';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { day, type KeyStage, keyStage } from './keystore-fixture.js';

let stage: KeyStage;
let database: TestDatabase;
beforeAll(async () => {
  [stage, database] = [await keyStage(), await createDatabase(18)];
});
afterAll(async () => {
  await stage.end();
  await database.drop();
});

const sql = (text: string) =>
  withSession({ url: database.url, role: 'destination', applicationName: 'test' }, (session) =>
    query(session, text),
  );

async function receiptsOf(): Promise<Record<string, unknown>[]> {
  const rows = await stage.sql('SELECT text FROM lethe_keys.receipt ORDER BY seq');
  return rows.map(({ text }) => JSON.parse(text!));
}

const TABLES = `
  tables:
    public.event:
      date: at
      columns:
        ip: ip
        line: { policy: ip, pattern: ipv4 }
        prefs: { policy: us, paths: ["$.ip"] }`;

test('rewrites the tokens of a subject, confirmed, recorded, and never against a hold', async () => {
  const { store, masters, copy } = stage;
  const { retention: file } = parseRetention(
    `retention:
  stores: { main: { postgres: env:KEYS, copy: ${copy}, masters: { file: ${masters} }, signing: env:SIGNING, simulated: true } }
  policies: [{ id: ip, window: 3 }, { id: us, window: 30, expired: null }]${TABLES}`,
    'retention.yaml',
  );
  const own = await openKeyStore(file!, 'main', stage.resolve);
  await store.generate();
  const keyring = new Keyring(await store.rings());
  const ip = (text: string) => new Sealer({ keyring, policy: 'ip' }).seal(text, day(0));
  const us = new Sealer({ keyring, policy: 'us' }).seal('10.0.0.3', day(0));
  await sql(
    'CREATE TABLE public.event (id int PRIMARY KEY, subject int, at date, ip text, line text, prefs jsonb)',
  );
  for (const id of [1, 2, 3])
    await sql(
      `INSERT INTO public.event VALUES (${id}, ${id % 2}, '${day(0)}', '${ip('10.0.0.1')}', 'from ${ip('10.0.0.2')} on', '{"ip": "${us}", "n": 1}')`,
    );
  await sql(`INSERT INTO public.event VALUES (5, 1, '${day(0)}', 'plain', 'no token lt1.zz260301.x', NULL)`);
  const before = await sql('SELECT * FROM public.event ORDER BY id');

  const redact = async (more: Partial<RedactRequest> = {}) => {
    const request = { table: 'public.event', where: 'subject = 1 -- all of them', ...more };
    return withSession({ url: database.url, role: 'destination', applicationName: 'test' }, (session) =>
      redactRecorded(session, file!, request, [own], { actor: 'me', reason: 'request 12' }),
    );
  };
  const all = {
    table: 'public.event',
    columns: ['ip', 'line', 'prefs'],
    rows: 2,
    policies: { ip: 2, us: 2 },
  };
  expect(await redact()).toEqual({ ...all, done: false });
  await expect(redact({ confirmed: 3 })).rejects.toMatchObject({
    type: 'Unconfirmed',
    message: expect.stringMatching(/--confirm 2/),
  });
  await expect(redact({ columns: ['lin'] })).rejects.toThrow(/did you mean "line"/);
  await expect(redact({ table: 'public.events' })).rejects.toThrow(/did you mean "public\.event"/);
  const { hold } = await own.hold({ policy: 'us', from: day(0), actor: 'officer', reason: 'case 1' });
  await expect(redact({ confirmed: 2 })).rejects.toMatchObject({ type: 'OnHold' });
  expect(await sql('SELECT * FROM public.event ORDER BY id')).toEqual(before);
  await own.release(hold, 'officer');
  expect(await receiptsOf()).toEqual([]);

  expect(await redact({ confirmed: 2 })).toEqual({ ...all, done: true });
  expect(await sql('SELECT * FROM public.event WHERE subject = 0')).toEqual([before[1]]);
  const after = await sql('SELECT id, ip, line, prefs::text FROM public.event WHERE subject = 1 ORDER BY id');
  const redacted = { ip: '[expired]', line: 'from [expired] on', prefs: '{"n": 1, "ip": null}' };
  expect(after).toEqual([
    { id: '1', ...redacted },
    { id: '3', ...redacted },
    { id: '5', ip: 'plain', line: 'no token lt1.zz260301.x', prefs: null },
  ]);
  expect(await redact()).toMatchObject({ rows: 0, policies: {} });

  const receipts = await receiptsOf();
  expect(receipts).toMatchObject([
    { kind: 'redaction', policy: 'ip', rows: 2, reason: 'request 12' },
    { kind: 'redaction', policy: 'us', rows: 2, reason: 'request 12' },
  ]);
  expect(receipts[0]).not.toHaveProperty('days');

  // A receipt stands only for what happened: otherwise none is written, or another one says so.
  const rest = { where: 'subject = 0', confirmed: 1 };
  const early = await own.hold({ policy: 'us', from: day(0), actor: 'officer', reason: 'case 2' });
  const entry = { policy: 'ip', what: 'x', rows: 1, actor: 'me', reason: 'y', days: [day(0)] };
  await expect(own.recordRedactions([entry, { ...entry, policy: 'us' }])).rejects.toMatchObject({
    type: 'OnHold',
  });
  await own.release(early.hold, 'officer');
  const { us: other } = file!.policies;
  const two = { ...file!, policies: { ...file!.policies, us: { ...other!, store: 'second' } } };
  const apart = withSession({ url: database.url, role: 'destination', applicationName: 'test' }, (session) =>
    redactRecorded(session, two, { table: 'public.event', ...rest }, [own], { actor: 'me', reason: 'y' }),
  );
  await expect(apart).rejects.toThrow(/leave --store out/);
  expect(await receiptsOf()).toHaveLength(2);
  await sql(`CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'`);
  await sql(
    'CREATE CONSTRAINT TRIGGER no AFTER UPDATE ON public.event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.no()',
  );
  await expect(redact(rest)).rejects.toThrow();
  await sql('DROP TRIGGER no ON public.event');
  expect((await receiptsOf()).slice(2)).toMatchObject([
    { kind: 'redaction', seq: 3 },
    { kind: 'redaction', seq: 4 },
    { kind: 'redactionFailed', redaction: 3 },
    { kind: 'redactionFailed', redaction: 4 },
  ]);
  expect((await own.verify()).find(({ check }) => check === 'receipts')).toMatchObject({
    state: 'ok',
    says: expect.stringMatching(/2 say that a redaction failed/),
  });
});

test('goes past the trigger and the check of the table, which admit what redaction writes', async () => {
  const { retention: file } = parseRetention(
    `retention:
  stores: { main: { postgres: env:KEYS, masters: { env: M }, signing: env:SIGNING, simulated: true } }
  policies: [{ id: ip, window: 3 }, { id: us, window: 30, expired: gone }]
  tables:
    public.visit:
      date: at
      trigger: true
      check: true
      columns:
        ip: { policy: { by: kind, map: { a: ip }, default: us } }
        prefs: { policy: us, paths: ["$.ip"] }`,
    'retention.yaml',
  );
  await stage.store.generate();
  const keyring = new Keyring(await stage.store.rings());
  const token = (policy: string) => new Sealer({ keyring, policy }).seal('10.0.0.1', day(0));
  await sql('CREATE TABLE public.visit (id int PRIMARY KEY, at date, kind text, ip text, prefs jsonb)');
  const insert = (id: number, kind: string, ip: string, leaf: string) =>
    sql(
      `INSERT INTO public.visit VALUES (${id}, '${day(0)}', '${kind}', '${ip}', '{"ip": ["${leaf}", null]}')`,
    );
  await insert(1, 'a', token('ip'), token('us'));
  await insert(2, 'b', token('us'), token('us'));
  await withSession({ url: database.url, role: 'destination', applicationName: 'test' }, async (session) => {
    await installTables(session, file!);
    // What would be refused of a table to be sealed keeps no subject from being redacted.
    await query(session, 'CREATE UNIQUE INDEX visit_ip ON public.visit (ip)');
    const request = { table: 'public.visit', where: 'true', holds: [], confirmed: 2 };
    await redactRows(session, file!, request, async () => undefined);
  });
  expect(await sql('SELECT ip, prefs::text FROM public.visit ORDER BY id')).toEqual([
    { ip: '[expired]', prefs: '{"ip": ["gone", null]}' },
    { ip: 'gone', prefs: '{"ip": ["gone", null]}' },
  ]);
  await expect(insert(3, 'b', '[expired]', 'gone')).rejects.toThrow();
  await expect(insert(3, 'b', 'gone', 'plain')).rejects.toThrow();
  await sql('ALTER TABLE public.visit DISABLE TRIGGER lethe_seal');
  await expect(insert(3, 'a', 'plain', 'gone')).rejects.toMatchObject({ details: { code: '23514' } });
});

test('changes nothing that cannot be recorded', async () => {
  const { retention: file } = parseRetention(
    `retention:
  stores: { main: { postgres: env:KEYS, masters: { env: M }, signing: env:SIGNING } }
  policies: [{ id: ip, window: 3 }, { id: us, window: 30, expired: null }]${TABLES}`,
    'retention.yaml',
  );
  const before = await sql('SELECT * FROM public.event WHERE subject = 0');
  const redacting = withSession(
    { url: database.url, role: 'destination', applicationName: 'test' },
    (session) =>
      redactRows(
        session,
        file!,
        { table: 'public.event', where: 'subject = 0', holds: [], confirmed: 1 },
        async () => {
          throw new Error('the key store is away');
        },
      ),
  );
  await expect(redacting).rejects.toThrow();
  expect(await sql('SELECT * FROM public.event WHERE subject = 0')).toEqual(before);
});
