import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { query, withSession } from '../../postgres/session.js';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* What a retention file does to tables, as its operator has it: a sync that seals, a table that is in use, one subject. */

const desk = new Desk();
let keys: TestDatabase;
let events: TestDatabase;
let copy: TestDatabase;

const retention = (folder: string) => `retention:
  stores:
    main:
      postgres: env:CLI_KEYS_URL
      masters: { file: ${join(folder, 'masters')} }
      signing: env:CLI_SIGNING
  policies:
    - { id: ip, window: 30 }
  tables:
    public.events:
      database: env:CLI_EVENTS_URL
      date: at
      columns: { ip: ip, line: { policy: ip, pattern: ipv4 } }
`;

const JOB = `job: events
source: { postgres: env:CLI_EVENTS_URL }
destination: { postgres: env:CLI_COPY_URL, mode: replace }
key: env:CLI_KEY
retention: ./retention.yaml
unlisted: keep
tables:
  public.events:
    columns: { ip: { retain: { policy: ip, date: at } }, line: { retain: { policy: ip, pattern: ipv4 } } }
`;

const sql = (database: TestDatabase, text: string) =>
  withSession({ url: database.url, role: 'destination', applicationName: 'test' }, (session) =>
    query(session, text),
  );
const plain = async (database: TestDatabase) => {
  const [row] = await sql(
    database,
    `SELECT count(*) AS n FROM public.events AS e WHERE e::text LIKE '%10.0.%'`,
  );
  return Number(row!.n);
};

beforeAll(async () => {
  [keys, events, copy] = [await createDatabase(), await createDatabase(), await createDatabase()];
  mkdirSync(join(desk.folder, 'masters'), { mode: 0o700 });
  desk.write('retention.yaml', retention(desk.folder));
  desk.write('events.yaml', JOB);
  Object.assign(desk.env, {
    CLI_KEYS_URL: keys.url,
    CLI_EVENTS_URL: events.url,
    CLI_COPY_URL: copy.url,
    CLI_SIGNING: Buffer.alloc(32, 9).toString('base64'),
    CLI_KEY: Buffer.alloc(32, 7).toString('base64'),
  });
  for (const database of [events, copy])
    await sql(
      database,
      'CREATE TABLE public.events (id int PRIMARY KEY, at timestamptz, ip text, line text)',
    );
  await sql(
    events,
    `INSERT INTO public.events SELECT i, now() - make_interval(days => CASE WHEN i > 90 THEN 50 ELSE i % 20 END),
       '10.0.1.' || i, 'from 10.0.2.' || i FROM generate_series(1, 100) AS i`,
  );
  const applied = await desk.lethe('retention', 'apply', '--no-schedules');
  expect([applied.code, applied.err]).toEqual([0, expect.any(String)]);
});

afterAll(async () => {
  desk.clear();
  for (const database of [keys, events, copy]) await database.drop();
});

it('a sync seals by the retention file that stands beside the job file', async () => {
  const shown = await desk.lethe('plan', 'events.yaml', '--show-values', '1');
  expect([shown.code, shown.out]).toEqual([0, expect.stringMatching(/lt1\.ip\d{6}\./)]);
  const done = await desk.lethe('sync', 'events.yaml');
  expect([done.code, done.out]).toEqual([0, expect.stringContaining('complete and valid')]);
  expect(await plain(copy)).toBe(0);
  expect(await sql(copy, 'SELECT ip FROM public.events WHERE id > 90 GROUP BY 1')).toEqual([
    { ip: '[expired]' },
  ]);

  const valid = await desk.lethe('validate', 'events.yaml');
  expect([valid.code, valid.out]).toEqual([
    0,
    expect.stringMatching(/200 values in 2 sealed columns .* \d+ were opened, and hold what the source does/),
  ]);
  const { CLI_KEYS_URL: url } = desk.env;
  desk.env.CLI_KEYS_URL = '';
  const away = await desk.lethe('validate', 'events.yaml');
  expect([away.code, away.out]).toEqual([0, expect.stringMatching(/None was opened.*CLI_KEYS_URL/)]);
  desk.env.CLI_KEYS_URL = url!;
  const audited = await desk.lethe('audit', 'last', '--job', 'events.yaml');
  expect([audited.code, audited.out]).toEqual([0, expect.stringContaining('has sealed columns')]);

  desk.write('typo.yaml', JOB.replace('policy: ip, date: at', 'policy: ix, date: at'));
  const typo = await desk.lethe('plan', 'typo.yaml');
  expect([typo.code, typo.out + typo.err]).toEqual([2, expect.stringContaining('no policy "ix"')]);
  desk.write('gone.yaml', JOB.replace('./retention.yaml', './gone.yml'));
  const gone = await desk.lethe('sync', 'gone.yaml');
  expect([gone.code, gone.err]).toEqual([2, expect.stringContaining('./gone.yml cannot be read (ENOENT)')]);
}, 240_000);

it('a table that is in use is sealed in place, and one subject is redacted', async () => {
  const dry = await desk.lethe('retention', 'seal', 'public.events', '--dry-run');
  expect([dry.code, dry.out]).toEqual([
    0,
    expect.stringContaining('ip: 90 to be sealed; 10 dated a day that is over would stay plain'),
  ]);
  expect(await plain(events)).toBe(100);
  const unknown = await desk.lethe('retention', 'seal', 'public.event');
  expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('did you mean "public.events"')]);
  const sealed = await desk.lethe('retention', 'seal', '--redact-expired', '20', '--json');
  expect(sealed.code).toBe(0);
  expect(JSON.parse(sealed.out)).toMatchObject([
    { columns: { ip: { sealed: 90, redacted: 10 } }, end: { rewritten: true, found: 0 } },
  ]);
  expect(await plain(events)).toBe(0);

  const who = ['--where', 'id IN (1, 2, 99)', '--actor', 'D. Officer', '--reason', 'request 12'];
  const look = await desk.lethe('retention', 'redact', 'public.events', ...who);
  expect([look.code, look.out]).toEqual([0, expect.stringContaining('2 rows of public.events (ip, line)')]);
  const wrong = await desk.lethe('retention', 'redact', 'public.events', ...who, '--confirm', '3');
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('--confirm 2')]);
  const done = await desk.lethe('retention', 'redact', 'public.events', ...who, '--confirm', '2');
  expect([done.code, done.out]).toEqual([0, expect.stringContaining('rewritten and recorded')]);
  expect(await sql(events, `SELECT count(*) AS n FROM public.events WHERE ip = '[expired]'`)).toEqual([
    { n: '12' },
  ]);
  const verified = await desk.lethe('retention', 'verify', '--json');
  expect(verified.out).toContain('"main"');
}, 240_000);
