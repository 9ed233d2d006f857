import { delimiter } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgresMissing } from '../../embedded/postgres-binary.js';
import { LetheError } from '../../errors/errors.js';
import type { Catalog } from '../../plan/catalog.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { findPgDump } from '../../postgres/schema/pgDump.js';
import { copySchema, type SchemaCopyOptions } from '../../postgres/schemaCopy.js';
import { query, withSession } from '../../postgres/session.js';
import { createDatabase, describeUnless, sharedData, type TestDatabase } from '../harness/servers.js';

const NAME = 'lethe:test/schema';

const SCHEMA = `
CREATE EXTENSION citext WITH SCHEMA public;
CREATE SCHEMA ext; CREATE EXTENSION pg_trgm WITH SCHEMA ext; CREATE EXTENSION hstore WITH SCHEMA ext;
CREATE SCHEMA shared; CREATE TYPE shared.kind AS ENUM ('a', 'b');
CREATE SCHEMA other; CREATE TABLE other.unrelated (id int);
CREATE SCHEMA "App x";
CREATE FUNCTION shared.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE "App x".person (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email public.citext NOT NULL UNIQUE,
  kind shared.kind DEFAULT 'a',
  country text DEFAULT 'Wonderland' CHECK (country IN ('Wonderland', 'Utopia')),
  boss int REFERENCES "App x".person DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON COLUMN "App x".person.email IS 'where to write';
CREATE INDEX fuzzy ON "App x".person USING gin (country ext.gin_trgm_ops);
CREATE TRIGGER stamp BEFORE UPDATE ON "App x".person FOR EACH ROW EXECUTE FUNCTION shared.stamp();
ALTER TABLE "App x".person ENABLE ALWAYS TRIGGER stamp;
CREATE TABLE "App x".visit (day date, person int) PARTITION BY LIST (person);
CREATE TABLE "App x".visit_1 PARTITION OF "App x".visit FOR VALUES IN (1);
CREATE TABLE "App x".visit_rest PARTITION OF "App x".visit DEFAULT;
CREATE VIEW "App x".countries AS SELECT DISTINCT country FROM "App x".person;
ALTER TABLE "App x".visit ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON "App x".visit TO nobody_at_all USING (false);
COMMENT ON POLICY nobody ON "App x".visit IS 'a comment';
CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing;
CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (password 'SECRET');
CREATE FOREIGN TABLE "App x".remote (id int) SERVER far;
CREATE PUBLICATION everything FOR ALL TABLES;
`;

/** What must be equal on both sides: all but oids, sizes, file numbers and what they make. */
function comparable(catalog: Catalog): unknown {
  const omitted = new Set([
    'oid',
    'typeOid',
    'fingerprint',
    'rows',
    'bytes',
    'pages',
    'filenode',
    'attnum',
    'rowSecurity',
  ]);
  return JSON.parse(
    JSON.stringify({ tables: catalog.tables, sequences: catalog.sequences }, (key, value) =>
      omitted.has(key) ? undefined : (value as unknown),
    ),
  );
}

const read = (url: string) =>
  withSession({ url, role: 'source', applicationName: NAME }, (session) => readCatalog(session));
const write = (url: string, sql: string) =>
  withSession({ url, role: 'destination', applicationName: NAME }, (session) => query(session, sql));

async function failure(promise: Promise<unknown>): Promise<LetheError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (!(error instanceof LetheError)) throw new Error(`expected a LetheError, got ${JSON.stringify(error)}`);
  return error;
}

describeUnless(postgresMissing(15), 'a copied schema', () => {
  let source: TestDatabase;
  let destination: TestDatabase;
  const options = (extra: Partial<SchemaCopyOptions> = {}): SchemaCopyOptions => ({
    sourceUrl: source.url,
    destinationUrl: destination.url,
    applicationName: NAME,
    tables: [
      { schema: 'App x', name: 'person' },
      { schema: 'App x', name: 'visit' },
    ],
    ...extra,
  });

  beforeAll(async () => {
    source = await createDatabase(15);
    destination = await createDatabase(15);
    const role = 'CREATE ROLE nobody_at_all; ';
    await write(source.url, role + SCHEMA);
  });
  afterAll(async () => {
    await write(source.url, 'DROP OWNED BY nobody_at_all; DROP ROLE nobody_at_all');
    await source.drop();
    await destination.drop();
  });

  test('has the tables of the job with all they use, and nothing that reaches elsewhere', async () => {
    const copy = await copySchema(options());
    expect(copy).toMatchObject({
      created: true,
      schemas: ['App x', 'shared'],
      extensions: ['citext', 'pg_trgm'],
    });
    expect([...copy.leftOut].sort()).toEqual([
      'FOREIGN TABLE App x remote',
      'POLICY App x visit nobody',
      'ROW SECURITY App x visit',
    ]);
    const [from, to] = [await read(source.url), await read(destination.url)];
    const tables = from.tables.filter((table) => table.schema !== 'other');
    expect(comparable(to)).toEqual(comparable({ ...from, tables }));
    const found = await write(
      destination.url,
      `SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_foreign_server) AS n`,
    );
    expect(found).toEqual([{ n: '0' }]);
  });

  test('tells where constants stand, not what they are', async () => {
    await write(destination.url, 'DROP SCHEMA "App x" CASCADE; DROP SCHEMA shared CASCADE');
    const { findings } = await copySchema(options());
    const text = JSON.stringify(findings);
    expect(text).toContain('App x.person.country');
    expect(text).toContain('person_country_check');
    expect(text).not.toMatch(/Wonderland|Utopia/);
  });

  test('is left alone when it is there, and refused when it is there in part', async () => {
    expect(await copySchema(options())).toMatchObject({ created: false });
    await write(destination.url, 'DROP TABLE "App x".visit');
    const error = await failure(copySchema(options()));
    expect(error).toMatchObject({ type: 'PlanRefused', message: expect.stringContaining('App x.visit') });
  });

  test('cannot be renamed', async () => {
    expect((await failure(copySchema(options({ renames: { 'App x': 'staging' } })))).type).toBe(
      'PlanRefused',
    );
  });

  test('leaves nothing behind when it fails', async () => {
    const other = await createDatabase(15);
    await write(other.url, 'CREATE SCHEMA shared; CREATE TYPE shared.kind AS ENUM ()');
    const error = await failure(copySchema(options({ destinationUrl: other.url })));
    expect(error.message).toContain('type "kind" already exists');
    expect((await read(other.url)).tables).toEqual([]);
    await other.drop();
  });

  test('keeps the password off the command line, and out of errors', async () => {
    const role = `dumper_${source.name}`;
    const other = await createDatabase(15);
    await write(
      source.url,
      `CREATE ROLE ${role} LOGIN PASSWORD 'SECRET'; GRANT USAGE ON SCHEMA "App x", shared TO ${role}`,
    );
    const url = new URL(source.url);
    [url.username, url.password] = [role, 'SECRET'];
    const error = await failure(copySchema(options({ sourceUrl: url.href, destinationUrl: other.url })));
    expect(error).toMatchObject({
      type: 'PermissionDenied',
      message: expect.stringContaining('lethe grants'),
    });
    expect(JSON.stringify([error.message, error.details])).not.toContain('SECRET');
    await write(source.url, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await other.drop();
  });

  const data = sharedData('sakila.sql');
  describeUnless(data.missing, 'of sakila', () => {
    test.each([15, 18] as const)('is the same on PostgreSQL %i', async (version) => {
      const missing = postgresMissing(version);
      if (missing) throw new Error(missing);
      const [from, to] = [await createDatabase(15, data.path), await createDatabase(version)];
      const catalog = await read(from.url);
      const copy = await copySchema({
        ...options(),
        sourceUrl: from.url,
        destinationUrl: to.url,
        tables: catalog.tables,
      });
      expect(copy.created).toBe(true);
      expect(comparable(await read(to.url))).toEqual(comparable(catalog));
      await from.drop();
      await to.drop();
    });
  });
});

describe('pg_dump', () => {
  test('older than the source is refused, naming what was found', async () => {
    const error = await failure(findPgDump(99));
    expect(error).toMatchObject({
      type: 'ToolMissing',
      message: expect.stringContaining('postgresql-client-99'),
    });
  });

  test('is looked for on PATH', async () => {
    const path = process.env.PATH;
    try {
      process.env.PATH = ['/nowhere', path].join(delimiter);
      await expect(findPgDump(9)).resolves.toMatchObject({ path: expect.stringMatching(/pg_dump$/) });
    } finally {
      process.env.PATH = path;
    }
  });
});
