import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkExpressions, renderExpression } from '../../postgres/expressions.js';
import { openSession, query, type Session, withSession } from '../../postgres/session.js';
import { createDatabase, onVersions, type TestDatabase } from '../harness/servers.js';

const TABLE = { schema: 'public', name: 'Staff' };

onVersions('a condition of the job file', (version) => {
  let database: TestDatabase;
  let session: Session;

  beforeAll(async () => {
    database = await createDatabase(version);
    await withSession({ url: database.url, role: 'destination', applicationName: 'lethe:test/0/0' }, (s) =>
      query(
        s,
        `SET search_path = public;
         CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE DOMAIN code AS text CHECK (VALUE <> '');
         CREATE TABLE "Staff" (id bigint, country text, "Größe" int, at timestamptz, day date, local timestamp, m mood,
           c code, tags text[], doc jsonb, active boolean, price numeric, gone int);
         ALTER TABLE "Staff" DROP COLUMN gone;
         CREATE FUNCTION loud(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
         CREATE FUNCTION calm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';`,
      ),
    );
    session = await openSession({ url: database.url, role: 'source', applicationName: 'lethe:test/0/0' });
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });

  const check = async (expression: string) => (await checkExpressions(session, TABLE, [expression]))[0]!;

  test.each([
    [`country = 'DE'`, ['country']],
    [`at > :run_time - interval '1 year'`, ['at']],
    [`(active)`, ['active']],
    [`"Größe" BETWEEN 1 AND 5 AND country IN ('now', 'today', 'x''y;--')`, ['country', 'Größe']],
    [`day > :run_time AND local < at AND day::timestamptz <> local`, ['at', 'day', 'local']],
    [`date_trunc('month', at)::date = day AND to_char(at, 'YYYY') = '2024'`, ['at', 'day']],
    [`extract(year FROM day) > 2000 AND at >= '2020-01-01'`, ['at', 'day']],
    [`m = 'sad' OR m::text LIKE 's%' OR country::public.mood = m`, ['country', 'm']],
    [`doc ->> 'a' = id::text AND tags @> ARRAY['x'] AND tags[1:2] IS NOT NULL`, ['id', 'tags', 'doc']],
    [`CASE WHEN active THEN coalesce(price, 0) ELSE greatest(price, 1) END > 1`, ['active', 'price']],
    [
      `(id, price) < (1, 2) AND country IS DISTINCT FROM c AND NOT active IS TRUE`,
      ['id', 'country', 'c', 'active', 'price'],
    ],
    [
      `public.calm(country) = concat(id, day) AND nullif(country, 'a') ~ '^[a-z]+$'`,
      ['id', 'country', 'day'],
    ],
  ])('%s is taken', async (expression, columns) => {
    const result = await check(expression);
    expect(result.problems).toEqual([]);
    expect([...result.columns].sort()).toEqual([...columns].sort());
  });

  test.each([
    [`true) OR (true`, 'expression-syntax', /closes more/],
    [`true) UNION (SELECT 1`, 'expression-syntax', /closes more/],
    [`active; DROP TABLE "Staff"`, 'expression-syntax', /semicolon/],
    [`active -- `, 'expression-syntax', /comments/],
    [`active /* ( */`, 'expression-syntax', /comments/],
    [`country = $$a$$`, 'expression-syntax', /\$\$/],
    [`country = $1`, 'expression-syntax', /parameters/],
    [`country = E'\\'`, 'expression-syntax', /escapes/],
    [`country = 'a`, 'expression-syntax', /not closed/],
    [`(active`, 'expression-syntax', /not closed/],
    [`active\0`, 'expression-syntax', /character/],
    [``, 'expression-syntax', /empty/],
    [`at > :now`, 'expression-syntax', /only placeholder is :run_time/],
    [`active GROUP BY 1`, 'expression-syntax', /GROUP/],
    [`id`, 'expression-refused', /boolean/],
    [`active, active`, 'expression-refused', /boolean/],
    [`contry = 'DE'`, 'expression-unknown-column', /did you mean "country"/],
    [`"Staff".active`, 'expression-refused', /without their table/],
    [`nope(country)`, 'expression-refused', /nope/],
    [`EXISTS (SELECT 1)`, 'expression-unchecked', /subqueries/],
    [`id IN (VALUES (1), (2))`, 'expression-unchecked', /subqueries/],
    [`id = ANY (ARRAY(TABLE pg_catalog.pg_class))`, 'expression-syntax', /one column/],
    [`country::public.code = 'a'`, 'expression-unchecked', /base type/],
    [`at > now()`, 'expression-unstable', /now\(\).*:run_time/],
    [`at > clock_timestamp()`, 'expression-unstable', /:run_time/],
    [`day = current_date`, 'expression-unstable', /:run_time/],
    [`country = current_user`, 'expression-unstable', /current_user/],
    [`at > 'now'`, 'expression-unstable', /:run_time/],
    [`day >= 'tomorrow'::date`, 'expression-unstable', /:run_time/],
    [`local > timestamp 'today' - interval '1 day'`, 'expression-unstable', /:run_time/],
    [`country::date = day`, 'expression-unstable', /to_date/],
    [`'now'::text::timestamptz > at`, 'expression-unstable', /to_timestamp/],
    [`random() < 0.5`, 'expression-unstable', /random is a volatile/],
    [`public.loud(country) = 'a'`, 'expression-unstable', /public\.loud is a volatile/],
    [`to_tsvector(country) @@ to_tsquery('a')`, 'expression-unstable', /to_ts\w+ is a stable/],
    [`current_setting('server_version') = country`, 'expression-unstable', /current_setting/],
    [`pg_read_file('/etc/passwd') = country`, 'expression-unstable', /volatile/],
    [`ctid > '(1,1)'`, 'expression-unstable', /system columns/],
    [`xmin = '1'`, 'expression-unstable', /system columns/],
  ])('%s is refused', async (expression, code, message) => {
    const { problems, columns } = await check(expression);
    expect(problems[0]).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(columns).toEqual([]);
  });

  test('a mistake is placed in the text as it was written', async () => {
    const expression = `at > :run_time AND contry = 'DE'`;
    const { problems } = await check(expression);
    expect(problems[0]?.offset).toBe(expression.indexOf('contry'));
  });

  test('nothing is executed', async () => {
    const result = await check(`1 / 0 = id AND pg_terminate_backend(pg_backend_pid())`);
    expect(result.problems[0]?.code).toBe('expression-unstable');
    expect(await query(session, 'SELECT 1 AS alive')).toEqual([{ alive: '1' }]);
  });

  test('a role without rights on the table can check', async () => {
    const role = `nobody_${database.name}`;
    await withSession({ url: database.url, role: 'destination', applicationName: 'lethe:test/0/0' }, (s) =>
      query(s, `CREATE ROLE ${role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA public TO ${role}`),
    );
    const url = new URL(database.url);
    [url.username, url.password] = [role, 'pw'];
    await withSession({ url: url.href, role: 'source', applicationName: 'lethe:test/0/0' }, async (s) => {
      const [checked] = await checkExpressions(s, TABLE, [`country = 'DE'`]);
      expect(checked?.problems).toEqual([]);
    });
    await withSession({ url: database.url, role: 'destination', applicationName: 'lethe:test/0/0' }, (s) =>
      query(s, `REVOKE ALL ON SCHEMA public FROM ${role}; DROP ROLE ${role}`),
    );
  });

  describe('rendered', () => {
    test('holds one moment in place of :run_time', async () => {
      const sql = renderExpression(
        `:run_time > '2024-02-29'::date AND ':run_time' <> 'x'`,
        '2024-03-01T00:00:00+02:00',
      );
      expect(sql).toBe(
        `('2024-02-29T22:00:00.000Z'::pg_catalog.timestamptz > '2024-02-29'::date AND ':run_time' <> 'x')`,
      );
      expect(await query(session, `SELECT ${sql} AS result`)).toEqual([{ result: 't' }]);
    });
  });
});
