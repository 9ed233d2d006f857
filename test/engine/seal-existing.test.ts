import { afterAll, expect, test } from 'vitest';
import { parseRetention } from '../../job/retention/load.js';
import type { RetentionFile } from '../../job/retention/types.js';
import { planExisting } from '../../postgres/retention/existing/plan.js';
import { checkFiles, rewriteTable } from '../../postgres/retention/existing/rewrite.js';
import {
  type ColumnCounts,
  type ExistingKeys,
  type SealMode,
  type SealProgress,
  sealPages,
} from '../../postgres/retention/existing/slice.js';
import { redactRows } from '../../postgres/retention/redact.js';
import { installTables } from '../../postgres/retention/tables.js';
import { openSession, query, type Session } from '../../postgres/session.js';
import { addCounts, type ExistingCounts, NO_COUNTS } from '../../retention/token/counts.js';
import { revealJson } from '../../retention/token/json.js';
import { Revealer } from '../../retention/token/revealer.js';
import { dayKeys, Keyring, type Ring } from '../../retention/token/ring.js';
import { Sealer } from '../../retention/token/sealer.js';
import { revealTexts } from '../../retention/token/text.js';
import { createDatabase, onVersions, type PostgresVersion, type TestDatabase } from '../harness/servers.js';

const TODAY = '2026-03-10';
const DAYS = ['2026-03-08', '2026-03-09', TODAY];
const TABLE = 'public.event';
const UNIT = { schema: 'public', name: 'event' };

const RETENTION = `retention:
  stores: { main: { postgres: env:KEYS, masters: { env: M }, signing: env:S } }
  policies:
    - { id: ip, window: 3 }
    - { id: us, window: 3, expired: null }
  tables:
    public.event:
      date: at
      columns:
        ip: { policy: { by: tenant, map: { a: ip, b: us } } }
        line: { policy: ip, pattern: ipv4, context: lines }
        prefs: { policy: us, paths: ["$.client.ip"] }
`;

function rings(): Ring[] {
  return ['ip', 'us'].map((policy, n) => ({
    policy,
    asOf: TODAY,
    first: DAYS[0]!,
    gone: [],
    simulated: true,
    keys: new Map(DAYS.map((day, i) => [day, dayKeys(Buffer.alloc(32, 10 * n + i + 1), policy, day)])),
  }));
}

const opened: { session: Session; database: TestDatabase }[] = [];
afterAll(async () => {
  for (const { session, database } of opened) {
    await session.close();
    await database.drop();
  }
});

interface Stage {
  readonly session: Session;
  readonly file: RetentionFile;
  readonly keys: ExistingKeys;
  sql(text: string): Promise<Record<string, string | null>[]>;
  seal(mode?: Partial<SealMode>, holds?: ExistingKeys['holds']): Promise<ColumnCounts>;
  /** Rows as who has the keys reads them. */
  revealed(): Promise<Record<string, string | null>[]>;
}

const EVENT =
  'CREATE TABLE public.event (id int PRIMARY KEY, at timestamptz, tenant text, ip text, line text, prefs jsonb)';

async function stage(
  version: PostgresVersion,
  rows: readonly string[],
  text = RETENTION,
  schema: readonly string[] = [EVENT],
): Promise<Stage> {
  const database = await createDatabase(version);
  const session = await openSession({ url: database.url, role: 'destination', applicationName: 'test' });
  opened.push({ session, database });
  const file = parseRetention(text, 'retention.yaml').retention!;
  const keys = { keyring: new Keyring(rings()), policies: file.policies, today: TODAY, holds: [] };
  const sql = (text: string) => query(session, text);
  for (const statement of schema) await sql(statement);
  for (const row of rows) await sql(`INSERT INTO public.event ${row}`);
  const table = file.tables[TABLE]!;
  return {
    ...{ session, file, keys, sql },
    async seal(mode = {}, holds = []) {
      const whole = { dryRun: false, redact: false, ...mode };
      const [planned] = await planExisting(session, file.policies, file.tables);
      let counts: ColumnCounts = {};
      for (const unit of planned!.units) {
        const done = await sealPages(session, table, unit, [0, unit.pages], { ...keys, holds }, whole);
        const sum = ([name, count]: [string, ExistingCounts]) =>
          [name, addCounts(counts[name] ?? NO_COUNTS, count)] as const;
        counts = Object.fromEntries(Object.entries(done).map(sum));
      }
      return counts;
    },
    async revealed() {
      const all = await sql('SELECT id, ip, line, prefs::text AS prefs FROM public.event ORDER BY id');
      const read = (name: string, context = '') =>
        revealTexts(
          new Revealer(keys.keyring, context),
          all.map((row) => row[name]!),
        );
      const [ip, line, prefs] = [read('ip'), read('line', 'lines'), read('prefs')];
      return all.map((row, i) => ({ id: row.id!, ip: ip[i]!, line: line[i]!, prefs: prefs[i]! }));
    },
  };
}

const BYTES = `retention:
  stores: { main: { postgres: env:KEYS, masters: { env: M }, signing: env:S } }
  policies:
    - { id: ip, window: 3 }
    - { id: us, window: 3, expired: null, deterministic: true }
  tables:
    public.event:
      date: at
      columns:
        raw: ip
        doc: { policy: us, paths: ["$"] }
`;

const TOKEN = new Sealer({ keyring: new Keyring(rings()), policy: 'ip' }).seal('10.0.0.9', DAYS[0]!);
const FAKE = `${TOKEN.slice(0, 20)}${TOKEN[20] === 'A' ? 'B' : 'A'}${TOKEN.slice(21)}`;
const JSON_ROW = `'{"client": {"ip": "10.9.0.1"}, "n": 1}'`;

onVersions('sealing a table in place', (version) => {
  test('seals bytes and whole documents, takes them away for a subject, and finds none left', async () => {
    const schema = [
      'CREATE DOMAIN public.bytes AS bytea',
      'CREATE DOMAIN public.raw_bytes AS public.bytes',
      'CREATE TABLE public.event (id int PRIMARY KEY, at timestamptz, raw public.raw_bytes, doc json)',
    ];
    const token = Buffer.from(TOKEN).toString('hex');
    const rows = [
      `VALUES (1, '${TODAY}', '\\x00ff5c6c742e00ff5c', '{"a": [1.50, "ä", {}], "b": null}')`,
      `VALUES (2, '${DAYS[0]}', '\\x${token}', '"x"')`,
      `VALUES (3, '2026-03-01', 'over', NULL)`,
      `VALUES (4, '${TODAY}', '', '[]')`,
    ];
    const { session, sql, seal, file, keys } = await stage(version, rows, BYTES, schema);
    const counts = await seal({ redact: true });
    expect(counts.raw).toEqual({ ...NO_COUNTS, sealed: 2, redacted: 1 });
    expect(counts.doc).toEqual({ ...NO_COUNTS, sealed: 2 });
    const again = await seal({ redact: true });
    expect([again.raw, again.doc]).toEqual([NO_COUNTS, NO_COUNTS]);
    const stored = await sql(
      `SELECT encode(raw, 'escape') AS raw, doc::text AS doc FROM public.event ORDER BY id`,
    );
    expect(stored.map(({ raw }) => raw!.slice(0, 13))).toEqual([
      'lb1.ip260310.',
      TOKEN.slice(0, 13),
      '[expired]',
      'lb1.ip260310.',
    ]);
    expect(stored[1]!.raw).toBe(TOKEN);
    const revealer = new Revealer(keys.keyring);
    expect(revealer.open(stored[0]!.raw!).bytes?.toString('hex')).toBe('00ff5c6c742e00ff5c');
    expect(revealJson(revealer, [stored[0]!.doc!])).toEqual(['{"a": [1.50, "ä", {}], "b": null}']);
    await session.client.query('CHECKPOINT');
    await rewriteTable(session, UNIT);
    const checked = await checkFiles(session, file.tables[TABLE]!, UNIT, keys);
    expect(checked).toEqual({ looked: 2, found: 0 });
    // Bytes that only have a token among them are a value of their own.
    const around = `\\xff80${token}c3bf`;
    await sql(`INSERT INTO public.event VALUES (5, '${TODAY}', '${around}', NULL)`);
    const request = { table: TABLE, where: 'id <= 2 OR id = 5', holds: [] };
    const looked = await redactRows(session, file, request, async () => undefined);
    expect(looked).toMatchObject({ rows: 2, policies: { ip: 2, us: 2 } });
    await redactRows(session, file, { ...request, confirmed: 2 }, async () => undefined);
    const left = await sql(
      `SELECT encode(raw, 'escape') AS raw, doc::text AS doc FROM public.event ORDER BY id LIMIT 2`,
    );
    expect(left).toEqual([
      { raw: '[expired]', doc: '{"a": [null, null, {}], "b": null}' },
      { raw: '[expired]', doc: 'null' },
    ]);
    expect(await sql('SELECT raw::text AS raw FROM public.event WHERE id = 5')).toEqual([{ raw: around }]);
  });

  test('seals what is plain, each row by its own date and policy, and leaves the rest', async () => {
    const { sql, seal, revealed } = await stage(version, [
      `VALUES (1, '2026-03-09 23:59+00', 'a', '10.0.0.1', 'from 10.0.0.2 to 10.0.0.3', ${JSON_ROW})`,
      `VALUES (2, '2026-03-08 00:00+00', 'b', '10.0.0.4', 'nothing', NULL)`,
      `VALUES (3, '2026-03-10 12:00+00', 'a', '${TOKEN}', 'x', '{"client": 7}')`,
      `VALUES (4, '2026-03-10 12:00+00', 'a', '${FAKE}', NULL, '{}')`,
      `VALUES (5, NULL, 'a', '10.0.0.5', 'from 10.0.0.5', NULL)`,
      `VALUES (6, '2026-04-10', 'a', '10.0.0.6', 'x', NULL)`,
      `VALUES (7, '1999-12-31', 'a', '10.0.0.7', 'x', NULL)`,
      `VALUES (8, '2026-03-07', 'a', '10.0.0.8', 'x 10.0.0.8', ${JSON_ROW})`,
      `VALUES (9, '2026-03-10', 'z', '10.0.0.10', 'x', NULL)`,
    ]);
    const before = await revealed();
    const expected = {
      ip: { ...NO_COUNTS, sealed: 3, undated: 2, noKey: 1, expired: 1, refused: 1, lookalikes: 1 },
      line: { ...NO_COUNTS, sealed: 1, undated: 1, expired: 1 },
      prefs: { ...NO_COUNTS, sealed: 1, expired: 1 },
    };
    const versions = () => sql('SELECT id, ctid, xmin FROM public.event ORDER BY id');
    const untouched = await versions();
    expect(await seal({ dryRun: true })).toEqual(expected);
    expect(await versions()).toEqual(untouched);

    expect(await seal()).toEqual(expected);
    const rows = await sql('SELECT id, ip, line FROM public.event ORDER BY id');
    expect(rows.map(({ ip }) => ip!.slice(0, 13))).toEqual([
      'lt1.ip260309.',
      'lt1.us260308.',
      TOKEN.slice(0, 13),
      'lt1.ip260310.',
      ...['10.0.0.5', '10.0.0.6', '10.0.0.7', '10.0.0.8', '10.0.0.10'],
    ]);
    expect(rows[2]!.ip).toBe(TOKEN);
    expect(rows[0]!.line).toMatch(/^from lt1\.ip260309\.\S+ to lt1\.ip260309\.\S+$/);
    expect(await revealed()).toEqual(before.map((row) => (row.id === '4' ? { ...row, ip: FAKE } : row)));

    // Again, nothing is left to do; what stays plain is counted as before.
    const left = (counts: typeof NO_COUNTS) => ({ ...counts, sealed: 0, lookalikes: 0 });
    expect(await seal()).toEqual({
      ip: left(expected.ip),
      line: left(expected.line),
      prefs: left(expected.prefs),
    });
    expect(await sql('SELECT id, ip, line FROM public.event ORDER BY id')).toEqual(rows);
  });

  test('replaces what is expired only where that is asked for, once', async () => {
    const { sql, seal } = await stage(version, [
      `VALUES (1, '2026-03-01', 'a', '10.0.0.1', 'from 10.0.0.2 to', ${JSON_ROW})`,
      `VALUES (2, '2026-03-01', 'b', '10.0.0.3', 'x', NULL)`,
    ]);
    await seal();
    expect(await sql('SELECT ip FROM public.event ORDER BY id')).toEqual([
      { ip: '10.0.0.1' },
      { ip: '10.0.0.3' },
    ]);
    const done = await seal({ redact: true });
    expect(Object.values(done).map(({ redacted, expired }) => [redacted, expired])).toEqual([
      [2, 0],
      [1, 0],
      [1, 0],
    ]);
    expect(await sql('SELECT ip, line, prefs::text FROM public.event ORDER BY id')).toEqual([
      { ip: '[expired]', line: 'from [expired] to', prefs: '{"n": 1, "client": {"ip": null}}' },
      { ip: null, line: 'x', prefs: null },
    ]);
    const again = await seal({ redact: true });
    expect(Object.values(again).every(({ redacted }) => redacted === 0)).toBe(true);
  });

  test('replaces no value of a day that is held, or that was not over when the count was confirmed', async () => {
    const { sql, seal } = await stage(version, [
      `VALUES (1, '2026-02-01', 'a', '10.0.0.1', 'from 10.0.0.2 to', NULL)`,
      `VALUES (2, '2026-02-02', 'a', '10.0.0.3', NULL, NULL)`,
      `VALUES (3, '2026-02-03', 'a', '10.0.0.4', NULL, NULL)`,
      `VALUES (4, '2026-02-04', 'a', '10.0.0.5', NULL, NULL)`,
    ]);
    const held = [{ policy: 'ip', from: '2026-02-02', to: '2026-02-02' }];
    const expiry = { ip: { first: '2026-02-03', gone: ['2026-02-04'] } };
    const counts = { ...NO_COUNTS, redacted: 2, held: 1, expired: 1 };
    const plain = await sql('SELECT * FROM public.event ORDER BY id');
    expect((await seal({ dryRun: true, redact: true, expiry }, held)).ip).toEqual(counts);
    expect(await sql('SELECT * FROM public.event ORDER BY id')).toEqual(plain);
    expect((await seal({ redact: true, expiry }, held)).ip).toEqual(counts);
    expect((await sql('SELECT ip FROM public.event ORDER BY id')).map(({ ip }) => ip)).toEqual([
      ...['[expired]', '10.0.0.3', '10.0.0.4', '[expired]'],
    ]);
    expect((await seal({}, held)).ip).toEqual({ ...NO_COUNTS, held: 1, expired: 1 });
  });

  test('leaves what redaction wrote, also in documents', async () => {
    const own = RETENTION.replace('window: 3, expired: null', 'window: 3, expired: gone');
    const { sql, seal } = await stage(
      version,
      [
        `VALUES (1, '2026-03-09', 'a', '[expired]', 'x', '{"client": {"ip": ["gone", "10.9.0.1"]}}')`,
        `VALUES (2, '2026-03-09', 'b', 'gone', 'x', '{"client": {"ip": "gone"}}')`,
        `VALUES (3, '2026-03-01', 'b', 'gone', 'x', '{"client": {"ip": "gone"}}')`,
      ],
      own,
    );
    const done = await seal();
    expect(done).toEqual({ ip: NO_COUNTS, line: NO_COUNTS, prefs: { ...NO_COUNTS, sealed: 1 } });
    const rows = await sql(`SELECT ip, prefs #>> '{client,ip}' AS leaf FROM public.event ORDER BY id`);
    expect(rows[0]!.leaf).toMatch(/^\["gone", "lt1\.us260309\./);
    expect(rows.slice(1)).toEqual([
      { ip: 'gone', leaf: 'gone' },
      { ip: 'gone', leaf: 'gone' },
    ]);
    expect(rows[0]!.ip).toBe('[expired]');
  });

  test('leaves many pages sealed, and after the rewrite no plain value in the files', async () => {
    const { session, sql, seal, file, keys } = await stage(version, [
      `SELECT i, '2026-03-09', 'a', '10.' || 100 + i % 100 || '.7.' || i, repeat('x', 200), NULL FROM generate_series(1, 8000) AS i`,
    ]);
    await sql('CREATE INDEX event_ip ON public.event (ip)');
    await sql('ANALYZE public.event');
    expect((await seal()).ip).toEqual({ ...NO_COUNTS, sealed: 8000 });
    const check = () => checkFiles(session, file.tables[TABLE]!, UNIT, keys);
    const before = await check();
    expect(before.looked).toBeGreaterThan(100);
    expect(before.found).toBeGreaterThan(0);
    await rewriteTable(session, UNIT);
    expect(await check()).toEqual({ looked: before.looked, found: 0 });
    const stats = await sql(
      `SELECT most_common_vals::text AS v FROM pg_stats WHERE tablename = 'event' AND attname = 'ip'`,
    );
    expect(JSON.stringify(stats)).not.toMatch(/10\.1\d\d\.7/);
    expect(await sql('SELECT count(*) AS n, count(DISTINCT id) AS ids FROM public.event')).toEqual([
      { n: '8000', ids: '8000' },
    ]);
  });

  test('goes on where an earlier attempt stood, with its counts', async () => {
    const { session, sql, file, keys } = await stage(version, [
      `SELECT i, '2026-03-09', 'a', '10.0.7.' || i, repeat('x', 200), NULL FROM generate_series(1, 6000) AS i`,
    ]);
    const table = file.tables[TABLE]!;
    const [planned] = await planExisting(session, file.policies, file.tables);
    const { pages } = planned!.units[0]!;
    const mode = { dryRun: false, redact: false };
    const told: SealProgress[] = [];
    const first = sealPages(session, table, UNIT, [0, pages], keys, mode, (progress) => {
      told.push(progress);
      throw new Error('killed');
    });
    await expect(first).rejects.toThrow('killed');
    const [former] = told;
    const sealed = Number((await sql(`SELECT count(*) AS n FROM public.event WHERE ip LIKE 'lt1.%'`))[0]!.n);
    expect(sealed).toBeGreaterThan(0);
    expect(sealed).toBeLessThan(6000);
    expect(former).toMatchObject({ next: 128, counts: { ip: { ...NO_COUNTS, sealed } } });
    const rest = await sealPages(
      session,
      table,
      UNIT,
      [0, pages],
      keys,
      mode,
      ({ next }) => {
        expect(next).toBeGreaterThan(128);
      },
      former,
    );
    expect(rest.ip).toEqual({ ...NO_COUNTS, sealed: 6000 });
  });

  test('does not wait long for the lock of its rewrite, and keeps nobody waiting', async () => {
    const { session, sql } = await stage(version, []);
    const { database } = opened.at(-1)!;
    const reader = await openSession({ url: database.url, role: 'destination', applicationName: 'reader' });
    await query(reader, 'BEGIN');
    await query(reader, 'SELECT 1 AS one FROM public.event');
    await expect(rewriteTable(session, UNIT, 200)).rejects.toMatchObject({
      type: 'Unreachable',
      message: expect.stringMatching(/public\.event.*another session has an open transaction/),
    });
    expect(await sql(`SELECT current_setting('lock_timeout') AS t`)).toEqual([{ t: '0' }]);
    await query(reader, 'COMMIT');
    await reader.close();
    await rewriteTable(session, UNIT);
  });

  test('goes through partitions, and past the trigger and the check that admit tokens only', async () => {
    const [head] = RETENTION.split('        ip:');
    const own = `${head!.replace('date: at', 'date: at\n      trigger: true\n      check: true')}        ip: ip\n`;
    const { session, file, sql, seal, revealed } = await stage(version, [], own, [
      'CREATE TABLE public.event (id int, at timestamptz, ip text, line text, prefs jsonb) PARTITION BY RANGE (id)',
      'CREATE TABLE public.low PARTITION OF public.event FOR VALUES FROM (0) TO (100)',
      'CREATE TABLE public.high PARTITION OF public.event FOR VALUES FROM (100) TO (1000)',
      `INSERT INTO public.event SELECT i, '2026-03-09', '10.0.0.' || i FROM generate_series(1, 200) AS i`,
    ]);
    const before = await revealed();
    await installTables(session, file);
    await expect(sql(`INSERT INTO public.event VALUES (300, '2026-03-09', 'plain')`)).rejects.toThrow();
    expect(await seal()).toEqual({ ip: { ...NO_COUNTS, sealed: 200 } });
    expect(await revealed()).toEqual(before);
    expect(await sql('SELECT count(*) AS n FROM public.event WHERE NOT lethe.is_token(ip)')).toEqual([
      { n: '0' },
    ]);
    await rewriteTable(session, UNIT);
    expect((await seal()).ip).toEqual(NO_COUNTS);
  });

  test('is refused where it cannot be, and names what may keep plain values', async () => {
    const { session, sql, file } = await stage(version, []);
    await sql(`CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`);
    for (const [name, when] of [
      ['audit', 'AFTER UPDATE'],
      ['made', 'BEFORE INSERT'],
      ['off', 'BEFORE UPDATE'],
    ])
      await sql(`CREATE TRIGGER ${name} ${when} ON public.event FOR EACH ROW EXECUTE FUNCTION public.note()`);
    await sql('ALTER TABLE public.event DISABLE TRIGGER off');
    await sql('CREATE MATERIALIZED VIEW public.report AS SELECT ip FROM public.event');
    await sql('CREATE PUBLICATION p FOR TABLE public.event');
    const plan = () => planExisting(session, file.policies, file.tables);
    const [planned] = await plan();
    expect(planned!.obstacles).toEqual(['trigger audit', 'materialized view public.report']);
    expect(planned!.notes.join()).toMatch(/Publication p .*REPLICA IDENTITY FULL/);
    await sql('DROP MATERIALIZED VIEW public.report');
    await sql('ALTER TABLE public.event ALTER COLUMN ip TYPE varchar(20)');
    await sql('ALTER TABLE public.event ADD COLUMN shown text GENERATED ALWAYS AS (upper(line)) STORED');
    await expect(plan()).rejects.toThrow(/too short for tokens[\s\S]*shown is generated from it/);
    await sql('DROP PUBLICATION p');
    await sql('DROP TABLE public.event');
    await expect(plan()).rejects.toThrow(/There is no table public\.event/);
  });
});
