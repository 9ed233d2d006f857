import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { duration, paint, say, table } from '../../cli/terminal.js';
import { type PostgresServer, startPostgres } from '../../embedded/postgres.js';
import { parseRetention } from '../../job/retention/load.js';
import type { RetentionFile } from '../../job/retention/types.js';
import { storeContext, withStore } from '../../postgres/keystore/context.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { readDayKeys } from '../../postgres/keystore/rows.js';
import { ringSettings } from '../../postgres/retention/settings.js';
import { installTables } from '../../postgres/retention/tables.js';
import { withSession } from '../../postgres/session.js';
import { Keyring } from '../../retention/index.js';
import { tryUnwrap } from '../../retention/keys/wrapping.js';
import { daysUntil, type EventRow, sealedEvents } from './events.js';

/* `npm run demo:retention`: 40 days of logs, of which 30 can be read; then a day passes. Everything lives as long as this process. */

const DAY_MS = 86_400_000;
/** Noon of the last of the 40 days. */
const TODAY = Date.UTC(2026, 2, 10, 12);
const DAYS = 40;
const EVENTS_A_DAY = 500;
const began = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'lethe-demo-'));
let server: PostgresServer | undefined;

/** What everybody runs, before and after: it knows nothing of sealing. `logs.events` has become a view of `raw.events`. */
const QUERY = `SELECT to_char(at, 'YYYY-MM-DD') AS day, count(*) AS events, count(DISTINCT ip) AS addresses,
  min(ip) AS ip, (array_agg(message ORDER BY id))[1] AS message, (array_agg(device ->> 'id' ORDER BY id))[1] AS device
FROM logs.events WHERE at < '2026-02-02' AND at >= '2026-02-01' OR at < '2026-02-10' AND at >= '2026-02-09' OR at >= '2026-03-10' GROUP BY 1 ORDER BY 1`;

async function main(): Promise<void> {
  say(paint.bold('Lethe: log values that can be read for 30 days\n'));
  server = await startPostgres({ version: 18 });
  const urls = await createDatabases(server);
  const file = retentionFile();
  const resolve = async (reference: string) => urls.secrets[reference.slice('env:'.length)]!;
  const store = await openKeyStore(file, 'main', resolve, { create: true, start: TODAY - 10 * DAY_MS });
  await fill(store, file, urls.events);
  const session = await readingSession(store, urls.events);
  const stored = await session.query('SELECT ip, message FROM raw.events ORDER BY id DESC LIMIT 1');
  say(`\nStored is only this:  ${cut(stored.rows[0]!.ip, 40)}   ${cut(stored.rows[0]!.message, 60)}`);
  say(
    `\n${paint.bold('10 March, the query of every day')}   ${paint.dim('(2026-02-01 is over since its 30 days ended)')}\n`,
  );
  say(resultText((await session.query(QUERY)).rows));
  say(`\n${paint.dim('The same query by a role that is no reader:')}\n`);
  await session.query('SET ROLE support');
  say(resultText((await session.query(QUERY)).rows.slice(-1)));
  await session.query('RESET ROLE');

  await copyDatabase(urls.admin);
  await store.setClock(TODAY + DAY_MS);
  await store.generate();
  const { destroyed, grade } = await store.destroy({ logical: TODAY + DAY_MS, temporal: TODAY + DAY_MS });
  await session.end();
  const names = destroyed.map(({ day }) => day).join(', ');
  say(
    `\n${paint.bold('11 March, a day later')}   The nightly run destroyed the key of ${names}; no row was touched. The same query:\n`,
  );
  const later = await readingSession(store, urls.events);
  say(resultText((await later.query(QUERY)).rows));
  await later.end();

  say(`\n${paint.bold('What an auditor asks')}\n`);
  const restored = await openBackup(file, resolve, urls.secrets.BACKUP_URL!);
  check(
    restored.opened === 0,
    `A backup of the key store from 10 March, restored: ${restored.opened} of its ${restored.keys} keys open with any master key that exists`,
  );
  const live = await openBackup(file, resolve, urls.secrets.KEYS_URL!);
  check(live.opened === live.keys, `The key store of today: ${live.opened} of ${live.keys} keys open`);
  for (const { check: what, state, says } of await store.verify({ dataDir: server.dataDir }))
    check(state !== 'failed', `${what}: ${says}`, state === 'not checked');
  say(
    `\nThe old master key was destroyed with grade ${grade?.grade ?? 'none'}. Done in ${duration((performance.now() - began) / 1000)}; everything ends here.`,
  );
}

interface Urls {
  readonly admin: string;
  readonly events: string;
  readonly secrets: Readonly<Record<string, string>>;
}

async function createDatabases(postgres: PostgresServer): Promise<Urls> {
  await run(postgres.url(), 'CREATE DATABASE events', 'CREATE DATABASE keys');
  const secrets = {
    KEYS_URL: postgres.url('keys'),
    BACKUP_URL: postgres.url('keys_backup'),
    SIGNING: randomBytes(32).toString('base64'),
  };
  return { admin: postgres.url(), events: postgres.url('events'), secrets };
}

/** As `retention.yaml` would be. */
function retentionFile(): RetentionFile {
  mkdirSync(join(folder, 'masters'), { mode: 0o700 });
  const text = `retention:
  stores:
    main: { postgres: env:KEYS_URL, masters: { file: ${folder}/masters }, copy: ${folder}/copy, signing: env:SIGNING, simulated: true }
  policies:
    - { id: ip, name: addresses and devices, window: 30, context: events }
  tables:
    raw.events:
      date: at
      readers: [analyst]
      view: logs.events
      columns:
        ip: ip
        message: { policy: ip, pattern: ipv4 }
        device: { policy: ip, paths: ["$.id"] }
`;
  const { retention, mistakes } = parseRetention(text, 'retention.yaml');
  if (!retention) throw new Error(mistakes.map(({ message }) => message).join('\n'));
  return retention;
}

/** The clock begins ten days back: what was young enough then gets its keys, and ten days pass. */
async function fill(store: KeyStore, file: RetentionFile, url: string): Promise<void> {
  await run(
    url,
    'CREATE ROLE analyst',
    'CREATE ROLE support',
    'CREATE SCHEMA raw',
    'CREATE SCHEMA logs',
    'GRANT USAGE ON SCHEMA logs TO analyst, support',
    'CREATE TABLE raw.events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, ip text, message text, device jsonb)',
  );
  const days = daysUntil('2026-03-10', DAYS);
  for (const [from, to, now] of [
    [0, 30, TODAY - 10 * DAY_MS],
    [30, 35, TODAY - 5 * DAY_MS],
    [35, 40, TODAY],
  ] as const) {
    if (now > (await store.now())) await store.setClock(now);
    await store.generate();
    const own = days.slice(from, to);
    await store.ensureDayKeys('ip', own);
    const keyring = new Keyring(await store.rings());
    await insert(
      url,
      own.flatMap((day) => sealedEvents(keyring, day, EVENTS_A_DAY)),
    );
    await store.destroy({ logical: now, temporal: now });
  }
  const session = { url, role: 'destination', applicationName: 'demo' } as const;
  await withSession(session, (database) => installTables(database, file));
  await run(url, 'GRANT SELECT ON logs.events TO support');
  done(
    `${(DAYS * EVENTS_A_DAY).toLocaleString('en')} events of ${DAYS} days; sealed before they were stored: the address, every address inside the message, the device id in JSON`,
  );
}

async function insert(url: string, rows: readonly EventRow[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(
      `INSERT INTO raw.events (at, ip, message, device)
       SELECT at, ip, message, device FROM jsonb_to_recordset($1) AS e (at timestamptz, ip text, message text, device jsonb)`,
      [JSON.stringify(rows.map((row) => ({ ...row, device: JSON.parse(row.device) })))],
    );
  } finally {
    await client.end();
  }
}

/** A session that gets its keys with its start, where no server logs them. */
async function readingSession(store: KeyStore, connectionString: string): Promise<pg.Client> {
  const settings = Object.entries(ringSettings(await store.rings()));
  const options = settings.map(([name, value]) => `-c ${name}=${value}`).join(' ');
  const client = new pg.Client({ connectionString, options });
  await client.connect();
  return client;
}

/** A copy of the key store's files, as a restored backup would be. */
async function copyDatabase(admin: string): Promise<void> {
  await run(admin, 'CREATE DATABASE keys_backup TEMPLATE keys');
  done('A backup of the key store was taken on 10 March');
}

/** How many of the keys in a key store's database open with any master key that exists. */
async function openBackup(
  file: RetentionFile,
  resolve: (reference: string) => Promise<string>,
  url: string,
): Promise<{ keys: number; opened: number }> {
  const context = await storeContext(file, 'main', async (reference) =>
    reference === 'env:KEYS_URL' ? url : resolve(reference),
  );
  const rows = await withStore(context, (session) => readDayKeys(session));
  const masters = await context.masters.list();
  const keys = await Promise.all(
    rows.map((row) => tryUnwrap(context.masters, { ...row, bytes: row.wrapped }, masters)),
  );
  return { keys: rows.length, opened: keys.filter((key) => key !== undefined).length };
}

function resultText(rows: readonly pg.QueryResultRow[]): string {
  const columns = ['day', 'events', 'addresses', 'ip', 'message', 'device'];
  return table(
    columns.map((head) => ({ head })),
    rows.map((row) => columns.map((name) => cut(String(row[name]), 62))),
  );
}

async function run(url: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function done(what: string): void {
  say(`${paint.green('✓')} ${what} ${paint.dim(`(${duration((performance.now() - began) / 1000)})`)}`);
}

function check(good: boolean, what: string, skipped = false): void {
  say(`  ${skipped ? paint.dim('–') : good ? paint.green('✓') : paint.red('✗')} ${what}`);
  if (!good) process.exitCode = 1;
}

async function stop(): Promise<void> {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stop().finally(() => process.exit(1)));
await main()
  .catch((error: unknown) => {
    process.exitCode = 1;
    console.error(`${paint.red('✗')} ${error instanceof Error ? error.message : String(error)}`);
  })
  .finally(stop)
  .finally(() => process.exit());
