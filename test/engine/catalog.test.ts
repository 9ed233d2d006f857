import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Catalog, CatalogTable } from '../../plan/catalog.js';
import { readFilenodes, readFingerprint } from '../../postgres/catalog/fingerprint.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { openSession, query, type Session, withSession, withTransaction } from '../../postgres/session.js';
import {
  createDatabase,
  describeUnless,
  onVersions,
  sharedData,
  type TestDatabase,
} from '../harness/servers.js';

const SCHEMA = `
CREATE EXTENSION citext;
CREATE SCHEMA "Straße";
CREATE SCHEMA lethe; CREATE TABLE lethe.run (id int);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN short AS varchar(40) CHECK (VALUE <> '') NOT NULL;
CREATE DOMAIN shorter AS short CONSTRAINT brief CHECK (length(VALUE) < 10);
CREATE DOMAIN tags AS citext[];
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE SEQUENCE drawn;
CREATE SEQUENCE free AS smallint INCREMENT 5 MAXVALUE 500 CYCLE;

CREATE TABLE "Straße"."Käufer ""x""" (
  dropped int,
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  serial_no serial,
  drawn_no int DEFAULT nextval('drawn'),
  "Name" varchar(80) NOT NULL,
  code char(5),
  nick citext,
  loose text COLLATE loose,
  c_name text COLLATE "C",
  price numeric(12, 2),
  hundreds numeric(4, -2),
  anything numeric,
  m mood DEFAULT 'ok',
  p pair,
  s shorter,
  t tags,
  words varchar(10)[],
  r int4range,
  doc jsonb,
  at timestamptz(3),
  net cidr,
  upper_name text GENERATED ALWAYS AS (upper("Name") || code) STORED,
  CONSTRAINT price_positive CHECK (price > 0 AND id > 0),
  CONSTRAINT no_overlap EXCLUDE USING gist (r WITH &&) WHERE (price > 1)
);
ALTER TABLE "Straße"."Käufer ""x""" DROP COLUMN dropped;
COMMENT ON COLUMN "Straße"."Käufer ""x"""."Name" IS 'wie er heißt';
CREATE UNIQUE INDEX by_lower ON "Straße"."Käufer ""x""" (lower("Name"), id) INCLUDE (m) WHERE code IS NOT NULL;
CREATE UNIQUE INDEX once ON "Straße"."Käufer ""x""" (nick) NULLS NOT DISTINCT;

CREATE TABLE ref_target (a int, b int, c int, UNIQUE (a, b, c));
CREATE TABLE ref_from (z int, y int, x int,
  CONSTRAINT crossed FOREIGN KEY (x, z, y) REFERENCES ref_target (b, a, c) MATCH FULL DEFERRABLE);
ALTER TABLE ref_from ADD CONSTRAINT unchecked FOREIGN KEY (z) REFERENCES "Straße"."Käufer ""x""" (id) NOT VALID;

CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER always BEFORE INSERT ON ref_from FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TRIGGER off BEFORE INSERT ON ref_from FOR EACH ROW EXECUTE FUNCTION noop();
ALTER TABLE ref_from ENABLE ALWAYS TRIGGER always, DISABLE TRIGGER off;
CREATE RULE quiet AS ON DELETE TO ref_from DO INSTEAD NOTHING;
ALTER TABLE ref_from ENABLE ROW LEVEL SECURITY;
CREATE VIEW v1 AS SELECT a FROM ref_target;
CREATE MATERIALIZED VIEW v2 AS SELECT * FROM v1;
CREATE TABLE log (a int);
CREATE RULE copy AS ON INSERT TO log DO ALSO INSERT INTO ref_target VALUES (NEW.a);

CREATE TABLE parent (id int);
CREATE UNLOGGED TABLE child (extra text) INHERITS (parent);

CREATE TABLE events (id int, day date, kind text, UNIQUE (id, day, kind)) PARTITION BY RANGE (day);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2020-01-01') TO (MAXVALUE) PARTITION BY LIST (kind);
CREATE TABLE events_new_a PARTITION OF events_new FOR VALUES IN ('a');
CREATE TABLE events_new_rest PARTITION OF events_new DEFAULT;
CREATE INDEX ON events (kind);
CREATE UNIQUE INDEX leaf_only ON events_old (id);
CREATE TABLE hashed (id int) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE hashed_3 PARTITION OF hashed FOR VALUES WITH (MODULUS 4, REMAINDER 3);
CREATE TABLE by_expr (id int) PARTITION BY RANGE ((id % 10));
INSERT INTO hashed SELECT generate_series(1, 30);
CREATE TEMP TABLE gone (id int);
`;

onVersions('the catalog of a database', (version) => {
  let database: TestDatabase;
  let session: Session;
  let catalog: Catalog;
  const table = (schema: string, name: string): CatalogTable => {
    const found = catalog.tables.find((t) => t.schema === schema && t.name === name);
    if (!found) throw new Error(`no ${schema}.${name} in ${catalog.tables.map((t) => t.name)}`);
    return found;
  };
  const open = () =>
    openSession({ url: database.url, role: 'source', applicationName: 'lethe:test/0/0', readOnly: false });

  beforeAll(async () => {
    database = await createDatabase(version);
    await withSession(
      { url: database.url, role: 'destination', applicationName: 'lethe:test/0/0' },
      async (setup) => {
        await query(setup, `SET search_path = public; ${SCHEMA}`);
      },
    );
    session = await open();
    catalog = await readCatalog(session);
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });

  test('has the tables of people, and nothing else, in byte order', () => {
    expect(catalog.tables.map((t) => `${t.schema}.${t.name}`)).toEqual([
      'Straße.Käufer "x"',
      'public.by_expr',
      'public.child',
      'public.events',
      'public.hashed',
      'public.log',
      'public.parent',
      'public.ref_from',
      'public.ref_target',
    ]);
    expect(Math.floor(catalog.serverVersion / 10_000)).toBe(version);
    expect(catalog.database.name).toBe(database.name);
    expect(catalog.database.system).toMatch(/^\d+$/);
  });

  test('sees types through domains, arrays and modifiers', () => {
    const columns = Object.fromEntries(table('Straße', 'Käufer "x"').columns.map((c) => [c.name, c]));
    const type = (name: string) => columns[name]!.type;
    expect(type('id')).toEqual({ kind: 'int8', name: 'bigint', nullable: false, equality: 'exact' });
    expect(type('Name')).toMatchObject({ kind: 'text', maxLength: 80, nullable: false, equality: 'exact' });
    expect(type('code')).toMatchObject({ kind: 'text', maxLength: 5, equality: 'padded' });
    expect(type('nick')).toMatchObject({ kind: 'text', equality: 'caseless', name: 'public.citext' });
    expect(type('loose')).toMatchObject({ kind: 'text', equality: 'caseless' });
    expect(columns.loose?.collation).toEqual({ name: 'public.loose', deterministic: false });
    expect(columns.c_name?.collation).toEqual({ name: 'pg_catalog.C', deterministic: true });
    expect(columns.Name?.collation).toBeUndefined();
    expect(type('price')).toMatchObject({ kind: 'numeric', precision: 12, scale: 2, equality: 'number' });
    expect(type('hundreds')).toMatchObject({ precision: 4, scale: -2 });
    expect(type('anything')).not.toHaveProperty('precision');
    expect(type('m')).toMatchObject({ kind: 'enum', enumValues: ['sad', 'ok', 'happy'] });
    expect(type('p')).toMatchObject({ kind: 'other' });
    expect(type('r')).toMatchObject({ kind: 'other' });
    expect(type('s')).toMatchObject({ kind: 'text', maxLength: 40, nullable: false, name: 'public.shorter' });
    expect(columns.s?.domainChecks).toEqual(['brief', 'short_check']);
    expect(type('t')).toMatchObject({ kind: 'array', element: { kind: 'text', equality: 'caseless' } });
    expect(type('words')).toMatchObject({
      kind: 'array',
      name: 'character varying(10)[]',
      element: { kind: 'text', maxLength: 10, name: 'character varying(10)' },
    });
    expect(type('doc').kind).toBe('json');
    expect(type('at')).toMatchObject({ kind: 'timestamptz', name: 'timestamp(3) with time zone' });
    expect(type('net')).toMatchObject({ kind: 'inet', name: 'cidr' });
  });

  test('knows where values of a column come from', () => {
    const columns = Object.fromEntries(table('Straße', 'Käufer "x"').columns.map((c) => [c.name, c]));
    expect(columns.dropped).toBeUndefined();
    expect(columns.id).toMatchObject({
      identity: 'always',
      attnum: 2,
      sequence: { schema: 'Straße', name: 'Käufer "x"_id_seq' },
    });
    expect(columns.serial_no?.sequence?.name).toBe('Käufer "x"_serial_no_seq');
    expect(columns.drawn_no?.sequence).toEqual({ schema: 'public', name: 'drawn' });
    expect(columns.m?.default).toBe("'ok'::public.mood");
    expect(columns.Name?.comment).toBe('wie er heißt');
    expect(columns.upper_name).toMatchObject({ generated: 'stored', generatedFrom: ['Name', 'code'] });
    const sequences = Object.fromEntries(catalog.sequences.map((s) => [s.name, s]));
    expect(sequences.free).toEqual({
      schema: 'public',
      name: 'free',
      dataType: 'smallint',
      maxValue: '500',
      increment: '5',
      cycles: true,
    });
    expect(sequences.drawn?.ownedBy).toEqual({ schema: 'Straße', name: 'Käufer "x"', column: 'drawn_no' });
    expect(sequences['Käufer "x"_id_seq']?.ownedBy?.column).toBe('id');
  });

  test('reads indexes with expressions, predicates and their constraints', () => {
    const indexes = Object.fromEntries(table('Straße', 'Käufer "x"').indexes.map((i) => [i.name, i]));
    expect(indexes.by_lower).toMatchObject({
      unique: true,
      primary: false,
      columns: [null, 'id'],
      expressionColumns: ['Name', 'code'],
      predicate: '(code IS NOT NULL)',
      keys: ['lower(("Name")::text)', 'id'],
      nullsNotDistinct: false,
      valid: true,
    });
    expect(indexes.by_lower?.constraint).toBeUndefined();
    expect(indexes.once).toMatchObject({ unique: true, nullsNotDistinct: true });
    expect(indexes.no_overlap).toMatchObject({
      exclusion: true,
      method: 'gist',
      expressionColumns: ['price'],
    });
    expect(indexes.no_overlap?.constraint?.definition).toContain('EXCLUDE USING gist');
    expect(indexes['Käufer "x"_pkey']).toMatchObject({ primary: true, columns: ['id'] });
  });

  test('pairs composite keys by position', () => {
    const [crossed, unchecked] = table('public', 'ref_from').foreignKeys;
    expect(crossed).toMatchObject({
      name: 'crossed',
      columns: ['x', 'z', 'y'],
      referencedColumns: ['b', 'a', 'c'],
      references: { schema: 'public', name: 'ref_target' },
      matchFull: true,
      deferrable: true,
      validated: true,
    });
    expect(unchecked).toMatchObject({
      name: 'unchecked',
      validated: false,
      references: { schema: 'Straße', name: 'Käufer "x"' },
    });
    expect(table('Straße', 'Käufer "x"').checks).toMatchObject([
      { name: 'price_positive', columns: expect.arrayContaining(['id', 'price']) },
    ]);
  });

  test('reads triggers as they are switched, rules, row security and dependents', () => {
    const from = table('public', 'ref_from');
    expect(from.triggers.map((t) => [t.name, t.enabled])).toEqual([
      ['always', 'A'],
      ['off', 'D'],
    ]);
    expect(from.rules).toMatchObject([{ name: 'quiet' }]);
    expect(from.rowSecurity).toBe('on');
    expect(table('public', 'ref_target').dependents).toEqual([
      'materialized view public.v2',
      'rule public.log.copy',
      'view public.v1',
    ]);
  });

  test('lists foreign keys of tables that are left out as dependents', async () => {
    const part = await readCatalog(session, { include: (_, name) => name === 'ref_target' });
    expect(part.tables.map((t) => t.name)).toEqual(['ref_target']);
    expect(part.tables[0]?.dependents).toContain('foreign key public.ref_from.crossed');
  });

  test('follows inheritance and nested partitions', () => {
    expect(table('public', 'child')).toMatchObject({
      inherits: [{ schema: 'public', name: 'parent' }],
      unlogged: true,
      kind: 'table',
    });
    const events = table('public', 'events');
    expect(events.kind).toBe('partitioned');
    expect(events.leaves.map((l) => l.name)).toEqual(['events_old', 'events_new_a', 'events_new_rest']);
    expect(events.partitionKey).toEqual({ columns: ['day', 'kind'], expression: false, takesAny: false });
    expect(events.indexes.map((i) => i.name)).toEqual(['events_id_day_kind_key', 'events_kind_idx']);
    expect(events.leaves[0]?.indexes?.map((i) => i.name)).toEqual(['leaf_only']);
    expect(events.leaves[1]).not.toHaveProperty('indexes');
    expect(table('public', 'hashed').partitionKey?.takesAny).toBe(true);
    expect(table('public', 'hashed').rows).toBe(30);
    expect(table('public', 'by_expr').partitionKey).toEqual({
      columns: ['id'],
      expression: true,
      takesAny: false,
    });
  });

  test('gives every table the fingerprint and file number that a check reads again', async () => {
    for (const t of catalog.tables) {
      expect(await readFingerprint(session, t), t.name).toBe(t.fingerprint);
      for (const [oid, filenode] of await readFilenodes(
        session,
        t.leaves.map((l) => l.oid),
      )) {
        expect(t.leaves.find((l) => l.oid === oid)?.filenode).toBe(filenode);
      }
    }
  });

  describe('inside a transaction with an old snapshot', () => {
    const begin = () =>
      query(session, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1 FROM pg_class LIMIT 1');

    test('a column renamed since shows in the fingerprint', async () => {
      const other = await open();
      await query(other, 'CREATE TABLE public.moving (a text, b text)');
      const before = await readFingerprint(other, { schema: 'public', name: 'moving' });
      await begin();
      await query(
        other,
        `ALTER TABLE public.moving RENAME a TO c; ALTER TABLE public.moving RENAME b TO a; ALTER TABLE public.moving RENAME c TO b`,
      );
      expect(await readFingerprint(session, { schema: 'public', name: 'moving' })).not.toBe(before);
      await query(session, 'ROLLBACK');
      await other.close();
    });

    test('a rewritten table has another file number', async () => {
      const other = await open();
      await query(
        other,
        'CREATE TABLE public.rewritten (a int); INSERT INTO public.rewritten VALUES (1), (2)',
      );
      const [row] = await query(other, `SELECT 'public.rewritten'::regclass::oid AS oid`);
      const oid = Number(row?.oid);
      const before = await readFilenodes(session, [oid]);
      await begin();
      await query(other, 'ALTER TABLE public.rewritten ALTER a TYPE bigint');
      expect(await query(session, 'SELECT * FROM public.rewritten')).toEqual([]);
      expect((await readFilenodes(session, [oid])).get(oid)).not.toBe(before.get(oid));
      await query(session, 'ROLLBACK');
      await query(other, 'DROP TABLE public.rewritten');
      expect((await readFilenodes(session, [oid])).size).toBe(0);
      await other.close();
    });
  });

  if (version >= 18) {
    test('knows virtual columns', async () => {
      await withTransaction(session, () =>
        query(session, 'CREATE TABLE public.virt (a int, b int GENERATED ALWAYS AS (a + 1) VIRTUAL)'),
      );
      const virt = await readCatalog(session, { include: (_, name) => name === 'virt' });
      expect(virt.tables[0]?.columns[1]).toMatchObject({ generated: 'virtual', generatedFrom: ['a'] });
    });
  }
});

for (const [file, tables, foreignKeys] of [
  ['sakila.sql', 21, 40],
  ['chinook.sql', 11, 11],
] as const) {
  const data = sharedData(file);
  describeUnless(data.missing, `the catalog of ${file}`, () => {
    onVersions('read whole', (version) => {
      test('finds its tables, keys and sequences', async () => {
        const database = await createDatabase(version, data.path);
        await withSession(
          { url: database.url, role: 'source', applicationName: 'lethe:test/0/0' },
          async (session) => {
            const catalog = await readCatalog(session);
            expect(catalog.tables).toHaveLength(tables);
            expect(catalog.tables.flatMap((t) => t.foreignKeys)).toHaveLength(foreignKeys);
            for (const table of catalog.tables) {
              expect(await readFingerprint(session, table), table.name).toBe(table.fingerprint);
            }
            if (file === 'sakila.sql') {
              const film = catalog.tables.find((t) => t.name === 'film');
              const types = Object.fromEntries(film!.columns.map((c) => [c.name, c]));
              expect(types.rating?.type.kind).toBe('enum');
              expect(types.special_features?.type.element?.kind).toBe('text');
              expect(types.fulltext?.type.kind).toBe('other');
              expect(types.release_year).toMatchObject({
                type: { kind: 'int4' },
                domainChecks: ['year_check'],
              });
              expect(types.film_id?.sequence?.name).toBe('film_film_id_seq');
              expect(catalog.sequences.find((s) => s.name === 'film_film_id_seq')?.ownedBy?.column).toBe(
                'film_id',
              );
            }
          },
        );
        await database.drop();
      });
    });
  });
}
