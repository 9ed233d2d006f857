import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseJob } from '../../job/load.js';
import { buildPlan } from '../../plan/build.js';
import type { Catalog } from '../../plan/catalog.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { query, withSession } from '../../postgres/session.js';
import { createDatabase, onVersions, type TestDatabase } from '../harness/servers.js';

/* The proofs read definitions as the server prints them: each case here is one that the plan must understand. */
const SCHEMA = `
SET search_path = public;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE DOMAIN mail AS text CONSTRAINT is_mail CHECK (VALUE ~ '@');
CREATE TABLE lower_mail (email text, UNIQUE (email));
CREATE UNIQUE INDEX ON lower_mail (lower(email));
CREATE TABLE lower_short (email varchar(80));
CREATE UNIQUE INDEX ON lower_short (lower(email));
CREATE TABLE hashed (email text);
CREATE UNIQUE INDEX hashed_md5 ON hashed (md5(email));
CREATE TABLE soft (email text, gone timestamptz);
CREATE UNIQUE INDEX ON soft (email) WHERE gone IS NULL;
CREATE TABLE quoted ("E-Mail" text, "Gone at" timestamptz);
CREATE UNIQUE INDEX ON quoted (lower("E-Mail")) WHERE "Gone at" IS NULL;
CREATE TABLE adult (id bigint PRIMARY KEY, age int CONSTRAINT is_adult CHECK (age >= 18));
CREATE TABLE positive (id bigint PRIMARY KEY CHECK (id > 0), age int CHECK (age BETWEEN 0 AND 200), CHECK (id <> 0 OR age > 5));
CREATE TABLE either (id int, email text, CHECK (email IS NOT NULL OR id IS NOT NULL));
CREATE TABLE booking (room int, "from to" tsrange, CONSTRAINT once EXCLUDE USING gist (room WITH =, "from to" WITH &&));
CREATE TABLE domained (email mail);
CREATE TABLE hashparts (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE hashparts_0 PARTITION OF hashparts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashparts_1 PARTITION OF hashparts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE ranges (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE ranges_0 PARTITION OF ranges FOR VALUES FROM (0) TO (100);
CREATE TABLE smalls (id smallserial PRIMARY KEY);
CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY (MAXVALUE 1000000) PRIMARY KEY);
`;

/** Table, its columns' decisions, codes of the refusals. */
const CASES: [string, string, string[]][] = [
  ['lower_mail', '{ email: email }', []],
  ['lower_mail', '{ email: scramble }', ['unproved-unique', 'unproved-unique']],
  ['lower_short', '{ email: email }', []],
  ['hashed', '{ email: email }', ['unproved-unique']],
  ['hashed', '{ email: keep }', []],
  ['soft', '{ email: email }', []],
  ['soft', '{ gone: dateTruncate }', []],
  ['soft', '{ gone: null }', ['unproved-unique']],
  ['quoted', '{ E-Mail: email, Gone at: dateTruncate }', []],
  ['adult', '{ id: permute }', []],
  ['adult', '{ age: noise }', ['unproved-check']],
  ['adult', '{ age: null }', []],
  ['positive', '{ id: permute }', []],
  ['positive', '{ age: permute }', ['unproved-check', 'unproved-check']],
  ['either', '{ email: email, id: permute }', []],
  ['either', '{ email: null }', ['unproved-check']],
  ['booking', '{ room: permute }', []],
  ['booking', '{ room: noise }', ['unproved-exclusion']],
  ['booking', '{ "from to": null }', []],
  ['domained', '{ email: email }', ['unproved-check']],
  ['hashparts', '{ id: permute }', []],
  ['ranges', '{ id: permute }', ['unproved-partition-key']],
  ['smalls', '{ id: { permute: { allowSmall: true } } }', []],
  ['smalls', '{ id: { permute: { bits: 15, allowSmall: true } } }', ['sequence-range']],
  ['always', '{ id: permute }', ['sequence-range']],
  ['always', '{ id: { permute: { bits: 19, allowSmall: true } } }', []],
];

onVersions('proofs over what the server prints', (version) => {
  let database: TestDatabase;
  let catalog: Catalog;
  beforeAll(async () => {
    database = await createDatabase(version);
    const session = { url: database.url, applicationName: 'lethe:plan-test' } as const;
    await withSession({ ...session, role: 'destination' }, (open) => query(open, SCHEMA));
    catalog = await withSession({ ...session, role: 'source' }, readCatalog);
  });
  afterAll(() => database?.drop());

  test.each(CASES)('%s %s', (table, columns, codes) => {
    const { job, mistakes } = parseJob(
      `job: t\nsource: { postgres: env:A }\ndestination: { postgres: env:B }\nkey: env:K\nunlisted: keep\n` +
        `include: [public.${table}]\ntables: { public.${table}: { columns: ${columns} } }`,
      'job.yaml',
    );
    expect(mistakes).toEqual([]);
    const { findings } = buildPlan({ job: job!, source: catalog, destination: catalog });
    expect(findings.filter(({ level }) => level === 'refusal').map(({ code }) => code)).toEqual(codes);
    expect(findings.filter(({ level }) => level === 'warning')).toEqual([]);
  });
});
