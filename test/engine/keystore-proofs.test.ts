import { execFile } from 'node:child_process';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type PostgresServer, startPostgres } from '../../embedded/postgres.js';
import { postgresBinaries, postgresMissing, serverUser } from '../../embedded/postgres-binary.js';
import { type KeyStore, openKeyStore, restoreKeyStore } from '../../postgres/keystore/open.js';
import { query, withSession } from '../../postgres/session.js';
import { opensCanary } from '../../retention/keys/canary.js';
import { fileMasters } from '../../retention/keys/masters/file.js';
import { tryUnwrap, unwrapKey } from '../../retention/keys/wrapping.js';
import type { TestDatabase } from '../harness/servers.js';
import { describeUnless } from '../harness/servers.js';
import { day, type KeyStage, keyStage, outcomeOf, sealOn } from './keystore-fixture.js';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const run = promisify(execFile);

/** The one database of a server as the tests' stages take it. */
function databaseOf(server: PostgresServer): TestDatabase {
  return { url: server.url(), name: 'postgres', drop: async () => undefined };
}

/** Folder that the server's user may write to. */
async function serverFolder(home: string, name: string): Promise<string> {
  const folder = join(home, name);
  const user = serverUser();
  await mkdir(folder, { recursive: true });
  if (user) await chown(folder, user.uid, user.gid);
  return folder;
}

describeUnless(postgresMissing(15), 'after a destruction, a base backup and WAL from before it', () => {
  let home: string;
  let server: PostgresServer;
  let stage: KeyStage;
  let gone: string;
  let living: string;
  /** Of the WAL, just before the destruction. */
  let before: string;
  /** What only a test may keep: the masters of before. */
  let formerMasters: string;

  const sql = async (text: string) => (await stage.sql(text))[0];

  /** Waits until all WAL up to now is in the archive. */
  async function archived(): Promise<void> {
    const wal = (await sql('SELECT pg_walfile_name(pg_switch_wal()) AS name'))!.name!;
    await expect
      .poll(async () => (await sql('SELECT last_archived_wal AS name FROM pg_stat_archiver'))?.name ?? '', {
        timeout: 60_000,
      })
      .toSatisfy((name: string) => name >= wal);
  }

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'lethe-backup-'));
    await chmod(home, 0o755);
    const archive = await serverFolder(home, 'archive');
    server = await startPostgres({
      version: 15,
      settings: {
        fsync: 'off',
        wal_level: 'replica',
        archive_mode: 'on',
        archive_command: `cp %p ${archive}/%f`,
      },
    });
    stage = await keyStage(15, { database: databaseOf(server) });
    const { store } = stage;
    await store.generate();
    gone = await sealOn(store, 'ip', day(0));
    formerMasters = join(home, 'former');
    await cp(stage.masters, formerMasters, { recursive: true });
    await baseBackup();
    // In the WAL alone.
    await stage.goTo(2);
    await store.generate();
    living = await sealOn(store, 'ip', day(2));
    await stage.goTo(3);
    await store.rotate();
    before = (await sql('SELECT pg_current_wal_lsn() AS lsn'))!.lsn!;
    await cp(stage.masters, formerMasters, { recursive: true });
  });
  afterAll(async () => {
    await stage?.end();
    await server?.stop();
    await rm(home, { recursive: true, force: true });
  });

  async function baseBackup(): Promise<void> {
    const user = serverUser();
    const target = await serverFolder(home, 'backup');
    await chmod(target, 0o700);
    const program = join(await postgresBinaries(15, user), 'pg_basebackup');
    const { username, password } = new URL(server.url());
    const where = ['-h', '127.0.0.1', '-p', String(server.port), '-U', username];
    await run(program, ['-D', target, '-X', 'fetch', '-c', 'fast', ...where], {
      ...user,
      cwd: '/',
      env: { ...process.env, PGPASSWORD: password },
    });
  }

  /** The backup, brought by the archived WAL to just before the destruction, as a server that runs. */
  async function restored<T>(body: (database: TestDatabase) => Promise<T>): Promise<T> {
    const user = serverUser();
    const place = await mkdtemp(join(home, 'restored-'));
    await chmod(place, 0o755);
    await run('cp', ['-a', join(home, 'backup'), join(place, 'data')]);
    const data = join(place, 'data');
    await writeFile(join(data, 'recovery.signal'), '');
    await writeFile(join(place, 'superuser-password'), new URL(server.url()).password);
    if (user) await chown(join(data, 'recovery.signal'), user.uid, user.gid);
    const copy = await startPostgres({
      version: 15,
      dataDir: place,
      settings: {
        fsync: 'off',
        archive_mode: 'off',
        restore_command: `cp ${join(home, 'archive')}/%f %p`,
        recovery_target_lsn: before,
        recovery_target_action: 'promote',
      },
    });
    try {
      const database = databaseOf(copy);
      await expect
        .poll(async () => (await ask(database, 'SELECT pg_is_in_recovery() AS yes'))[0]?.yes, {
          timeout: 60_000,
        })
        .toBe('f');
      return await body(database);
    } finally {
      await copy.stop();
      await rm(place, { recursive: true, force: true });
    }
  }

  const ask = (database: TestDatabase, text: string) =>
    withSession({ url: database.url, role: 'key store', applicationName: 'test' }, (session) =>
      query(session, text),
    );

  /** How many wrapped keys of a database open under any master that lies in the folders, and how many there are. */
  async function opened(database: TestDatabase, folders: readonly string[]) {
    const rows = await ask(
      database,
      `SELECT policy, day, (extract(epoch FROM destroy_at) * 1000)::bigint AS destroy_at, master, wrapped, canary
       FROM lethe_keys.day_key`,
    );
    const days: string[] = [];
    for (const row of rows) {
      const wrapped = {
        policy: row.policy!,
        day: row.day!,
        destroyAt: Number(row.destroy_at),
        master: row.master!,
        bytes: Buffer.from(row.wrapped!.slice(2), 'hex'),
      };
      for (const folder of folders) {
        const masters = fileMasters(folder);
        const key = await tryUnwrap(masters, wrapped, await masters.list());
        if (key && opensCanary(key, wrapped.policy, wrapped.day, row.canary!))
          days.push(`${row.policy} ${row.day}`);
      }
    }
    return { rows: rows.map((row) => `${row.policy} ${row.day}`), days };
  }

  /** The key store of the restored database, by the file that there is now. */
  async function reopened(database: TestDatabase): Promise<KeyStore> {
    const resolve = async (reference: string) =>
      reference === 'env:KEYS' ? database.url : stage.resolve(reference);
    return openKeyStore(stage.file, 'main', resolve);
  }

  it('open every day as long as their master is there', async () => {
    await archived();
    await restored(async (database) => {
      const { rows, days } = await opened(database, [formerMasters]);
      expect(rows).toContain(`ip ${day(0)}`);
      expect(days).toEqual(rows);
    });
  });

  it('open no token with everything that exists now', async () => {
    const { store } = stage;
    expect((await store.destroy()).destroyed).toEqual([{ policy: 'ip', day: day(0) }]);
    await stage.sql('CHECKPOINT');
    await archived();
    const now = [stage.masters, join(stage.copy, 'masters')];
    await restored(async (database) => {
      const { rows, days } = await opened(database, now);
      expect(rows).toContain(`ip ${day(0)}`);
      expect(days).toEqual([]);
      const back = await reopened(database);
      await expect(back.rings()).rejects.toMatchObject({ type: 'MasterKeyUnusable' });
      // The second copy, which is of now, brings what lives back into it, and only that.
      const resolve = async (reference: string) =>
        reference === 'env:KEYS' ? database.url : stage.resolve(reference);
      await expect(restoreKeyStore(stage.file, 'main', resolve)).rejects.toMatchObject({
        type: 'Unconfirmed',
      });
      await restoreKeyStore(stage.file, 'main', resolve, { replace: true });
      expect([await outcomeOf(back, living), await outcomeOf(back, gone)]).toEqual(['value', 'expired']);
    });
    expect([await outcomeOf(store, living), await outcomeOf(store, gone)]).toEqual(['value', 'expired']);
  });

  it('are searched by verify, which finds the wrapped key there and would see it open', async () => {
    const options = { dataDir: server.dataDir, backups: [join(home, 'backup'), join(home, 'archive')] };
    const files = async () => (await stage.store.verify(options)).slice(-2);
    const well = await files();
    expect(well).toMatchObject([
      { check: 'data directory', state: 'ok' },
      { check: 'backups', state: 'ok' },
    ]);
    expect(well[1]?.says).toMatch(/^[1-9]\d* wrapped keys of destroyed days found/);
    for (const name of await readdir(formerMasters))
      if (name.endsWith('.key')) await cp(join(formerMasters, name), join(stage.masters, name));
    expect((await files())[1]).toMatchObject({
      state: 'failed',
      says: expect.stringContaining('wrapped keys of destroyed days open'),
    });
    for (const name of await readdir(formerMasters))
      if (name.endsWith('.key')) await rm(join(stage.masters, name));
    expect((await stage.store.verify(options)).filter(({ state }) => state === 'failed')).toEqual([]);
  });
});

describe('when the disk of a key store is lost', () => {
  it('the second copy brings every living day back, and none of those that are gone', async () => {
    const lost = await startPostgres({ version: 18, settings: { fsync: 'off' } });
    const stage = await keyStage(18, { database: databaseOf(lost) });
    const { store } = stage;
    await store.generate();
    const tokens = new Map([[day(0), await sealOn(store, 'ip', day(0))]]);
    for (let d = 1; d <= 4; d += 1) {
      await stage.goTo(d);
      await store.generate();
      tokens.set(day(d), await sealOn(store, 'ip', day(d)));
      await store.destroy();
    }
    const receipts = (await store.verify())[0];
    await lost.stop();
    await rm(stage.masters, { recursive: true });
    const fresh = await startPostgres({ version: 18, settings: { fsync: 'off' } });
    try {
      const resolve = async (reference: string) =>
        reference === 'env:KEYS' ? fresh.url() : stage.resolve(reference);
      expect(await restoreKeyStore(stage.file, 'main', resolve)).toMatchObject({ tombstones: 2 });
      const back = await openKeyStore(stage.file, 'main', resolve);
      const outcomes = await Promise.all([...tokens.values()].map((token) => outcomeOf(back, token)));
      expect(outcomes).toEqual(['expired', 'expired', 'value', 'value', 'value']);
      const found = await back.verify();
      expect(found.filter(({ state }) => state === 'failed')).toEqual([]);
      expect(found[0]).toEqual(receipts);
      // The copy was written before the last destruction was written down as done.
      expect((await back.status()).alarms).toEqual([expect.stringContaining('"receipted"')]);
      await back.destroy();
      expect((await back.status()).alarms).toEqual([]);
    } finally {
      await fresh.stop();
      await stage.end();
    }
  });
});

describe('a server that logs everything', () => {
  let server: PostgresServer;
  let stage: KeyStage;
  const secrets = new Set<string>();

  beforeAll(async () => {
    server = await startPostgres({
      version: 18,
      settings: {
        fsync: 'off',
        log_statement: 'all',
        log_connections: 'on',
        log_min_duration_statement: '0',
        log_error_verbosity: 'verbose',
        shared_preload_libraries: 'auto_explain,pg_stat_statements',
        'auto_explain.log_min_duration': '0',
        'auto_explain.log_analyze': 'on',
        'auto_explain.log_nested_statements': 'on',
        'pg_stat_statements.track': 'all',
      },
    });
    stage = await keyStage(18, { database: databaseOf(server) });
    await stage.sql('CREATE EXTENSION pg_stat_statements SCHEMA public');
  });
  afterAll(async () => {
    await stage.end();
    await server.stop();
  });

  /** Every key that there is now: masters, day keys, and what readers get. */
  async function note(): Promise<void> {
    const masters = fileMasters(stage.masters);
    for (const name of await stage.masterFiles())
      secrets.add(Buffer.from(await readFile(join(stage.masters, name), 'utf8'), 'base64').toString('hex'));
    for (const row of await stage.sql(
      'SELECT policy, day, (extract(epoch FROM destroy_at) * 1000)::bigint AS destroy_at, master, wrapped FROM lethe_keys.day_key',
    )) {
      const label = {
        policy: row.policy!,
        day: row.day!,
        destroyAt: Number(row.destroy_at),
        master: row.master!,
      };
      const key = await unwrapKey(masters, Buffer.from(row.wrapped!.slice(2), 'hex'), label);
      secrets.add(key.toString('hex'));
    }
    for (const { keys } of await stage.store.rings())
      for (const bytes of keys.values()) {
        secrets.add(Buffer.from(bytes).toString('hex'));
        for (const half of [bytes.subarray(0, 32), bytes.subarray(32)])
          secrets.add(Buffer.from(half).toString('hex'));
      }
  }

  it('learns no key and no value from all that is done with a key store', async () => {
    const { store } = stage;
    await store.generate();
    await note();
    await sealOn(store, 'ip', day(0), 'zq-plain-text');
    await store.hold({ policy: 'ip', from: day(0), actor: 'counsel', reason: 'case' });
    await stage.goTo(3);
    await store.generate();
    await store.destroy();
    await store.release(1, 'counsel');
    await store.destroy();
    await note();
    await store.shrink('us', 10, true);
    await store.rotate();
    await store.destroyEarly({ policy: 'us', days: [day(3)], actor: 'dpo', reason: 'request' });
    await note();
    await store.verify();
    await store.status();
    await stage.sql('DROP SCHEMA lethe_keys CASCADE');
    await restoreKeyStore(stage.file, 'main', stage.resolve);
    await note();

    const log = await readFile(join(dirname(server.dataDir), 'postgres.log'), 'utf8');
    const views = await Promise.all(
      [
        'SELECT query FROM public.pg_stat_statements',
        'SELECT query FROM pg_stat_activity',
        'SELECT s::text AS query FROM pg_stats s',
      ].map((text) => stage.sql(text)),
    );
    const texts = [log, ...views.flat().map(({ query: text }) => text ?? '')];
    // It did log what was done, parameters and all.
    expect(log).toContain('INSERT INTO lethe_keys.day_key');
    expect(log).toContain('Query Text');
    expect(log).toContain('counsel');
    expect(secrets.size).toBeGreaterThan(20);
    const forms = [...secrets].flatMap((hex) => {
      const bytes = Buffer.from(hex, 'hex');
      return [hex, bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
    });
    for (const text of texts) {
      expect(forms.find((form) => text.includes(form))).toBeUndefined();
      expect(text).not.toContain('zq-plain-text');
    }
  });
});
