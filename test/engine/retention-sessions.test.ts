import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../embedded/postgres.js';
import { STARTUP_BYTES, setKeys, splitSettings } from '../../postgres/retention/delivery.js';
import { keyedEnvironment } from '../../postgres/retention/environment.js';
import { installRetention } from '../../postgres/retention/install.js';
import { KEYED_SESSIONS, RetentionPool } from '../../postgres/retention/pool.js';
import { ringSettings } from '../../postgres/retention/settings.js';
import { query, withSession } from '../../postgres/session.js';
import type { RingSource } from '../../retention/keys/source.js';
import { addDays } from '../../retention/token/day.js';
import { dayKeys, Keyring, type Ring } from '../../retention/token/ring.js';
import { Sealer } from '../../retention/token/sealer.js';

const DAY = '2026-03-10';
const run = promisify(execFile);

function ringOf(days: number, gone: readonly string[] = []): Ring {
  const all = Array.from({ length: days }, (_, back) => addDays(DAY, -back));
  const keys = new Map(
    all
      .filter((day) => !gone.includes(day))
      .map((day, i) => [day, dayKeys(Buffer.alloc(32, i + 1), 'ip', day)]),
  );
  return { policy: 'ip', asOf: DAY, first: all.at(-1)!, gone, keys, simulated: true };
}

const sealer = (days: number) => new Sealer({ keyring: new Keyring([ringOf(days)]), policy: 'ip' });

/** A key store that tests turn by hand. */
class Source implements RingSource {
  at = 1;
  down = false;
  constructor(public ring: Ring) {}
  async epoch() {
    if (this.down) throw new Error('down');
    return String(this.at);
  }
  async rings() {
    return [this.ring];
  }
  async ensureDayKeys() {
    return [];
  }
  async close() {}
}

describe('keys on their way into sessions', () => {
  let server: PostgresServer;
  const pools: RetentionPool[] = [];
  const open = async (...given: Parameters<typeof RetentionPool.open>) => {
    const pool = await RetentionPool.open(...given);
    pools.push(pool);
    return pool;
  };

  beforeAll(async () => {
    server = await startPostgres({
      version: 18,
      settings: {
        log_statement: 'all',
        log_connections: 'on',
        log_disconnections: 'on',
        log_min_duration_statement: '0',
        shared_preload_libraries: 'auto_explain,pg_stat_statements',
        'auto_explain.log_min_duration': '0',
        'auto_explain.log_analyze': 'on',
        'pg_stat_statements.track': 'all',
        log_error_verbosity: 'verbose',
      },
    });
    await withSession(
      { url: server.url(), role: 'destination', applicationName: 'test' },
      async (session) => {
        await installRetention(session);
        await query(session, 'CREATE EXTENSION pg_stat_statements SCHEMA public');
        await query(session, `CREATE ROLE plain LOGIN PASSWORD 'plain'`);
      },
    );
  });
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.end();
  });
  afterAll(() => server.stop());

  it('cuts settings at what a startup packet has room for, the newest days first', () => {
    const settings = ringSettings([ringOf(200)]);
    const { startup, rest } = splitSettings(settings, 100);
    expect({ ...startup, ...rest }).toEqual(settings);
    expect(Object.keys(startup)).toContain('lethe.r_ip');
    expect(Object.keys(startup)).toContain('lethe.k_ip260310');
    expect(Object.keys(startup).length).toBeGreaterThan(70);
    expect(Object.keys(rest)).toContain('lethe.k_ip250823');
    expect(splitSettings(ringSettings([ringOf(30)])).rest).toEqual({});
  });

  it('refuses more than fits for programs, and names what to ask for less of', () => {
    expect(() => keyedEnvironment([ringOf(90)], {})).toThrow(/90 days take .*--policy.*--since/);
    const given = keyedEnvironment([ringOf(60)], { PGOPTIONS: '-c work_mem=8MB', HOME: '/h' });
    expect(given).toMatchObject({ HOME: '/h', PGAPPNAME: KEYED_SESSIONS });
    expect(given.PGOPTIONS).toMatch(/^-c work_mem=8MB -c lethe\.r_ip=/);
    expect(Buffer.byteLength(given.PGOPTIONS!)).toBeLessThan(STARTUP_BYTES);
  });

  it('opens psql with keys in its environment alone', async () => {
    const token = sealer(60).seal('192.0.2.1', DAY);
    const env = keyedEnvironment([ringOf(60)], process.env);
    const { stdout } = await run(
      'psql',
      [server.url(), '-XAtc', `SELECT lethe.reveal('${token}'), current_setting('application_name')`],
      { env },
    );
    expect(stdout.trim()).toBe(`192.0.2.1|${KEYED_SESSIONS}`);
  });

  it('gives connections that read, also days that the start has no room for', async () => {
    const source = new Source(ringOf(200));
    const pool = await open({ connection: { connectionString: server.url() }, source });
    const oldest = addDays(DAY, -199);
    const tokens = [DAY, oldest].map((day) => sealer(200).seal('x', day));
    const { rows } = await pool.query('SELECT lethe.reveal(t) AS v FROM unnest($1::text[]) AS t', [tokens]);
    expect(rows).toEqual([{ v: 'x' }, { v: 'x' }]);
    const client = await pool.connect();
    const { rows: names } = await client.query(`SELECT current_setting('application_name') AS name`);
    client.release();
    expect(names[0]!.name).toBe(KEYED_SESSIONS);
  });

  it('retires connections when the key store changed, and reads nothing when that cannot be asked', async () => {
    const source = new Source(ringOf(30));
    const pool = await open({ connection: { connectionString: server.url() }, source, recheckMs: 1 });
    const token = sealer(30).seal('x', DAY);
    const shown = async () => (await pool.query('SELECT lethe.reveal($1) AS v', [token])).rows[0]!.v;
    expect(await shown()).toBe('x');
    const held = await pool.connect();
    source.ring = ringOf(30, [DAY]);
    source.at++;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await shown()).toBe('[expired]');
    held.release();
    source.down = true;
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(shown()).rejects.toThrow('down');
  });

  it('hands keys to single transactions, for poolers, and leaves none behind', async () => {
    const source = new Source(ringOf(30));
    const connection = { connectionString: server.url(), max: 1 };
    const pool = await open({ connection, source, delivery: 'transaction' });
    const token = sealer(30).seal('x', DAY);
    expect((await pool.query('SELECT lethe.reveal($1) AS v', [token])).rows[0]!.v).toBe('x');
    await pool.transaction(async (client) => {
      await client.query('COMMIT');
      const { rows } = await client.query('SELECT lethe.reveal($1) AS v', [token]);
      expect(rows[0]!.v).toBe('[no key]');
      await client.query('BEGIN');
    });
    await expect(pool.transaction((client) => client.query('SELECT 1/0'))).rejects.toThrow();
    await expect(pool.connect()).rejects.toThrow(/inside `transaction` only/);
  });

  it('sends nothing where the server would log it, until a superuser allows otherwise', async () => {
    const url = server.url().replace(/\/\/[^@]*@/, '//plain:plain@');
    const settings = ringSettings([ringOf(2)]);
    const attempt = () =>
      withSession({ url, role: 'destination', applicationName: 'test' }, async (session) => {
        await setKeys(session.client, settings);
        const [row] = await query(session, `SELECT current_setting('lethe.r_ip', true) AS ring`);
        return row!.ring;
      });
    await expect(attempt()).rejects.toMatchObject({ type: 'PermissionDenied' });
    await withSession(
      { url: server.url(), role: 'destination', applicationName: 'test' },
      async (session) => {
        for (const name of ['log_parameter_max_length', 'auto_explain.log_parameter_max_length'])
          await query(session, `GRANT SET ON PARAMETER ${name} TO plain`);
      },
    );
    expect(await attempt()).toMatch(/^260310,/);
  });

  it('left no key and no value in the server log or in pg_stat_statements', async () => {
    const log = await readFile(join(server.dataDir, '..', 'postgres.log'), 'utf8');
    const seen = await withSession(
      { url: server.url(), role: 'destination', applicationName: 'test' },
      (session) => query(session, 'SELECT query FROM public.pg_stat_statements'),
    );
    const all = `${log}\n${seen.map((row) => row.query).join('\n')}`;
    expect(all).toContain('set_config(n, v, $3)');
    expect(all).toContain('Query Text');
    for (const value of Object.values(ringSettings([ringOf(200)]))) {
      if (value.length < 80) continue;
      const bytes = Buffer.from(value, 'base64url');
      expect(all.includes(value.slice(4, 40))).toBe(false);
      expect(all.includes(bytes.toString('hex').slice(0, 32))).toBe(false);
    }
    expect(all).not.toContain('192.0.2.1');
  });
});
