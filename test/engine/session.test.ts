import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LetheError } from '../../errors/errors.js';
import { rowErrorClass, sanitize } from '../../postgres/errors.js';
import {
  execute,
  openSession,
  query,
  type SessionOptions,
  withSession,
  withTransaction,
} from '../../postgres/session.js';
import { underSnapshot } from '../../postgres/snapshot.js';
import { createDatabase, onVersions, postgresUrl, type TestDatabase } from '../harness/servers.js';

const NAME = 'lethe:0193e7a0-0000-7000-8000-000000000000/12/3';

async function failure(promise: Promise<unknown>): Promise<LetheError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof LetheError)) throw new Error(`expected a LetheError, got ${String(error)}`);
  return error;
}

onVersions('a session', (version) => {
  let database: TestDatabase;
  const options = (extra: Partial<SessionOptions> = {}): SessionOptions => ({
    url: database.url,
    role: 'destination',
    applicationName: NAME,
    ...extra,
  });
  const urlOf = (change: (url: URL) => unknown): string => {
    const url = new URL(database.url);
    change(url);
    return url.href;
  };

  beforeAll(async () => {
    database = await createDatabase(version);
    await withSession(options(), async (s) => {
      for (const [name, value] of Object.entries({
        DateStyle: 'SQL, DMY',
        IntervalStyle: 'iso_8601',
        TimeZone: 'Asia/Kathmandu',
        bytea_output: 'escape',
        extra_float_digits: '-3',
        search_path: 'public',
        standard_conforming_strings: 'off',
        row_security: 'on',
        client_encoding: 'LATIN1',
        statement_timeout: '1s',
        default_transaction_isolation: 'serializable',
      })) {
        await query(s, `ALTER DATABASE ${database.name} SET ${name} = '${value}'`);
      }
      await query(
        s,
        `CREATE TABLE public.person (id int PRIMARY KEY, name varchar(10) NOT NULL CHECK (name <> 'SECRET-check'), born date);
         INSERT INTO public.person VALUES (1, 'Zoë', '1990-04-03')`,
      );
    });
  });
  afterAll(() => database.drop());

  test('reads the same text whatever the database is set to', async () => {
    await withSession(options(), async (s) => {
      const [row] = await query(
        s,
        `SELECT born, '2024-04-03 10:00+02'::timestamptz AS at, '1 day 2 hours'::interval AS i, '\\x00ff'::bytea AS b,
           0.1::float8 + 0.2 AS f, name, 9223372036854775807 AS big, current_setting('search_path') AS path,
           '\\' AS backslash, current_setting('transaction_isolation') AS isolation, ARRAY[NULL, 'a'] AS list, current_setting('statement_timeout') AS timeout
         FROM public.person`,
      );
      expect(row).toEqual({
        born: '1990-04-03',
        at: '2024-04-03 08:00:00+00',
        i: '1 day 02:00:00',
        b: '\\x00ff',
        f: '0.30000000000000004',
        name: 'Zoë',
        big: '9223372036854775807',
        path: '',
        backslash: '\\',
        isolation: 'read committed',
        list: '{NULL,a}',
        timeout: '0',
      });
    });
  });

  test('says what it is connected to', async () => {
    await withSession(options(), async (s) => {
      expect(s).toMatchObject({
        serverEncoding: 'UTF8',
        encoding: 'UTF8',
        superuser: true,
        inRecovery: false,
        lost: undefined,
      });
      expect(Math.floor(s.serverVersion / 10_000)).toBe(version);
      expect(
        await query(s, 'SELECT application_name AS name FROM pg_stat_activity WHERE pid = $1', [s.pid]),
      ).toEqual([{ name: NAME }]);
    });
  });

  test('keeps explicit timeouts', async () => {
    await withSession(options({ statementTimeoutMs: 50 }), async (s) => {
      const error = await failure(query(s, 'SELECT pg_sleep(5)'));
      expect(error).toMatchObject({ type: 'Unreachable', details: { code: '57014' } });
    });
  });

  test('hands over startup settings that no statement shows', async () => {
    const value = `a b\\c 'ü' "x"\t=`;
    await withSession(options({ startup: { 'lethe.bound_0': value } }), async (s) => {
      expect(await query(s, `SELECT current_setting('lethe.bound_0') AS v`)).toEqual([{ v: value }]);
    });
  });

  test('of a source cannot write, unless a transaction says so', async () => {
    await withSession(options({ role: 'source' }), async (s) => {
      const error = await failure(execute(s, `UPDATE public.person SET name = 'x'`));
      expect(error.details.code).toBe('25006');
      const temp = () => execute(s, 'CREATE TEMP TABLE bounds (a text)');
      await expect(withTransaction(s, temp, { readOnly: false })).resolves.toBe(0);
    });
  });

  test('fails rather than show some rows', async () => {
    const role = `some_${database.name}`;
    await withSession(options(), async (s): Promise<void> => {
      await query(
        s,
        `CREATE TABLE public.hidden (id int); INSERT INTO public.hidden VALUES (1), (2);
         ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY;
         CREATE POLICY one ON public.hidden USING (id = 1);
         CREATE ROLE ${role} LOGIN PASSWORD 'pw'; GRANT SELECT ON public.hidden TO ${role}; GRANT USAGE ON SCHEMA public TO ${role}`,
      );
      const url = urlOf((u) => {
        [u.username, u.password] = [role, 'pw'];
      });
      await withSession(options({ url }), async (limited) => {
        expect(limited.superuser).toBe(false);
        const error = await failure(query(limited, 'SELECT * FROM public.hidden'));
        expect(error).toMatchObject({ type: 'PermissionDenied', details: { code: '42501' } });
        expect(error.message).toContain('(42501, table hidden)');
        const denied = await failure(query(limited, 'SELECT * FROM pg_catalog.pg_authid'));
        expect(denied.message).toContain('(42501, table pg_authid)');
        const raise = `DO $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'permission denied for table Ann Lee'; END $$`;
        expect((await failure(query(limited, raise))).message).not.toContain('Ann');
      });
      await query(
        s,
        `DROP TABLE public.hidden; REVOKE USAGE ON SCHEMA public FROM ${role}; DROP ROLE ${role}`,
      );
    });
  });

  test('survives the end of its idle connection, and says so at the next statement', async () => {
    const s = await openSession(options());
    await withSession(options(), (other) => query(other, 'SELECT pg_terminate_backend($1, 5000)', [s.pid]));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await failure(query(s, 'SELECT 1'))).type).toBe('Unreachable');
    await s.close();
  });

  test('ends at once when its work is cancelled', async () => {
    const controller = new AbortController();
    const s = await openSession(options({ signal: controller.signal }));
    const sleeping = failure(query(s, 'SELECT pg_sleep(60)'));
    controller.abort();
    expect((await sleeping).type).toBe('Unreachable');
    await s.close();
    expect((await failure(openSession(options({ signal: controller.signal })))).type).toBe('Unreachable');
  });

  test('commits what returns, rolls back what throws', async () => {
    await withSession(options(), async (s) => {
      const insert = (id: number) => execute(s, `INSERT INTO public.person VALUES ($1, 'x')`, [id]);
      expect(await withTransaction(s, () => insert(10))).toBe(1);
      await expect(
        withTransaction(s, async () => {
          await insert(11);
          throw new Error('SECRET');
        }),
      ).rejects.not.toThrow(/SECRET/);
      expect(await query(s, 'SELECT id FROM public.person WHERE id >= 10')).toEqual([{ id: '10' }]);
    });
  });

  test('reads under the snapshot of another', async () => {
    await withSession(options(), async (holder) => {
      await query(holder, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
      const [exported] = await query(holder, 'SELECT pg_export_snapshot() AS id');
      await withSession(options(), async (s) => {
        await execute(s, `INSERT INTO public.person VALUES (20, 'later')`);
        const read = () => query(s, 'SELECT id FROM public.person WHERE id = 20');
        expect(await underSnapshot(s, ['00000000-00000001-1', exported!.id!], read)).toEqual([]);
        await expect(underSnapshot(s, ['00000000-00000001-1'], read)).rejects.toMatchObject({
          type: 'SnapshotLost',
        });
        expect(await read()).toHaveLength(1);
      });
    });
  });

  describe('that cannot be opened', () => {
    test.each([
      ['nobody listens', { port: '1' }, 'Unreachable', 'ECONNREFUSED'],
      ['no such host', { hostname: 'no-such-host.invalid' }, 'Unreachable', /ENOTFOUND|EAI_AGAIN/],
      ['no such database', { pathname: '/nowhere' }, 'ObjectMissing', '3D000'],
      ['no such user', { username: 'nobody', password: 'SECRET' }, 'AuthenticationFailed', /^28/],
      ['no TLS', { search: '?sslmode=require' }, 'AuthenticationFailed', undefined],
    ] as const)('%s', async (_, change, type, code) => {
      const error = await failure(openSession(options({ url: urlOf((u) => Object.assign(u, change)) })));
      expect(error.type).toBe(type);
      if (code) expect(error.details.code).toMatch(code);
      expect(JSON.stringify([error.message, error.details])).not.toContain('SECRET');
    });

    test.each([
      'mysql://h/d',
      'not a url SECRET',

      'postgres://u:SECRET@h:port/d',
    ])('%s is no URL', async (url) => {
      const error = await failure(openSession(options({ url })));
      expect(error.type).toBe('JobInvalid');
      expect(error.message).not.toContain('SECRET');
    });

    test('an application name that the server would cut', async () => {
      expect((await failure(openSession(options({ applicationName: 'x'.repeat(64) })))).type).toBe(
        'Internal',
      );
    });
  });

  test('of a SQL_ASCII database needs to be told the encoding', async () => {
    const name = `${database.name}_ascii`;
    const admin = new pg.Client({ connectionString: await postgresUrl(version) });
    await admin.connect();
    await admin.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`);
    try {
      const url = urlOf((u) => {
        u.pathname = `/${name}`;
      });
      const error = await failure(openSession(options({ url, role: 'source' })));
      expect(error).toMatchObject({ type: 'JobInvalid', message: expect.stringContaining('encoding: UTF8') });
      await withSession(options({ url, role: 'source', encoding: 'latin1' }), async (s) => {
        expect(s).toMatchObject({ serverEncoding: 'SQL_ASCII', encoding: 'LATIN1' });
      });
    } finally {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    }
  });

  test.each([
    [`INSERT INTO public.person VALUES (1, 'SECRET')`, '23505', 'person_pkey', undefined],
    [`INSERT INTO public.person VALUES (2, NULL, '1990-01-01')`, '23502', undefined, 'name'],
    [`INSERT INTO public.person VALUES (3, 'SECRET-check-and-long')`, '22001', undefined, undefined],
    [`SELECT 'SECRET'::int`, '22P02', undefined, undefined],
    [`SELECT ('SECRET' || 1)::date`, '22007', undefined, undefined],
    [
      `DO $$ BEGIN RAISE 'SECRET' USING detail = 'SECRET', hint = 'SECRET'; END $$`,
      'P0001',
      undefined,
      undefined,
    ],
  ])('says nothing of the values in %s, and blames the row', async (sql, code, constraint, column) => {
    await withSession(options(), async (s) => {
      const error = await failure(query(s, sql));
      expect(error.type).toBe('DatabaseError');
      const shown = `${error.message} ${JSON.stringify(error.details)} ${error.stack} ${String(error.cause)}`;
      expect(shown).not.toContain('SECRET');
      expect(rowErrorClass(error)).toEqual({ code, constraint, column });
    });
  });

  test('errors that are no row’s fault blame none', async () => {
    await withSession(options(), async (s) => {
      for (const [sql, type] of [
        ['SELECT * FROM public.nope', 'ObjectMissing'],
        ['SELECT nope FROM public.person', 'ObjectMissing'],
        ['SELEC 1', 'DatabaseError'],
      ] as const) {
        const error = await failure(query(s, sql));
        expect(error.type).toBe(type);
        expect(rowErrorClass(error)).toBeUndefined();
      }
    });
  });
});

describe('an error that is no database’s', () => {
  test('keeps its class and place, not its message', () => {
    const error = sanitize(new RangeError('SECRET'), 'reading public.person');
    expect(error).toMatchObject({ type: 'Internal', details: { thrown: 'RangeError' } });
    expect(error.details.at).toMatch(/^session\.test\.ts:\d+$/);
    expect(error.message).toMatch(
      /^Reading public\.person: an unexpected RangeError at session\.test\.ts:\d+\.$/,
    );
  });

  test('of several addresses is told by the first', () => {
    const refused = Object.assign(new Error('SECRET'), { code: 'ECONNREFUSED' });
    expect(sanitize(new AggregateError([refused, refused])).type).toBe('Unreachable');
  });

  test('that is a LetheError passes', () => {
    const error = new LetheError('RunEnded', 'The run ended.');
    expect(sanitize(error)).toBe(error);
  });
});
