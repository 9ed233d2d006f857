-- Everything that a real database may hold and a copy may stumble over. What is personal says "geheim".
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE SCHEMA odd;
CREATE SCHEMA "Ünï côde";

CREATE TYPE odd.mood AS ENUM ('so so', 'it''s "fine"', 'größer');
CREATE TYPE odd.pair AS (a integer, "B b" text);
CREATE DOMAIN odd.positive AS numeric CHECK (VALUE > 0);
CREATE DOMAIN odd.short AS varchar(12) NOT NULL CHECK (VALUE <> '');
CREATE COLLATION odd.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- Every type, kept as it is.
CREATE TABLE odd.types (
  id integer PRIMARY KEY, d date, ts timestamp, tz timestamptz, tm time, ttz timetz, iv interval, n numeric,
  n2 numeric(12,4), f4 real, f8 double precision, i2 smallint, i8 bigint, t text, c char(5), vc varchar(7), nm name,
  ch "char", ba bytea, bt bit(5), vb varbit, b boolean, u uuid, e odd.mood, dm odd.positive, p odd.pair, ps odd.pair[],
  a text[], a2 integer[], an numeric[], j json, jb jsonb, r int4range, tr tstzrange, mr int4multirange, pt point,
  pg polygon, ip inet, ci cidr, mac macaddr, tv tsvector, tq tsquery, lsn pg_lsn, jp jsonpath, o oid, rc regclass,
  m money, cit citext);
INSERT INTO odd.types (id) VALUES (0);
INSERT INTO odd.types VALUES
  (1, 'infinity', 'infinity', '-infinity', '24:00', '23:59:59.999999-15:59', '-1 year 2 mons -3 days 04:05:06.789', 'NaN',
   99999999.9999, 'NaN', 'NaN', -32768, 9223372036854775807, E'\\N', 'ab', '', 'a name', 'x',
   '\x00ff0a095c2e', B'10101', B'', false, '00000000-0000-0000-0000-000000000000', 'it''s "fine"', 0.0000000001,
   ROW(NULL, E'a,"b"\\c'), ARRAY[ROW(1, 'x y'), NULL]::odd.pair[],
   ARRAY[NULL, 'NULL', 'a,b', 'quote"d', E'back\\slash', '', '{}', E'tab\tnew\nline'], '[0:1]={7,8}', '{NaN,1e-20,NULL}',
   '{"a": 1e400, "b": "\u00e9\ud83d\ude00", "a": 123456789012345678901234567890.10, "z": "\u0000"}',
   '{"big": 123456789012345678901234567890.10, "s": "\u00e9 \ud83d\ude00 \\ \" \t"}', 'empty', '(,infinity]', '{[1,3),[5,9)}',
   '(1e300,-0)', '((0,0),(1,1),(1,0))', '::ffff:1.2.3.4/120', '10.0.0.0/8', '08:00:2b:01:02:03',
   $$'a b':1A 'it''s':2$$, $$!'x' & 'y z':*$$, 'FFFFFFFF/FFFFFFFF', '$."a b"[*] ? (@ > 1)', 4294967295, 'odd.types',
   '-92233720368547758.08', 'MiXeD'),
  (2, '-infinity', '-infinity', 'infinity', '00:00', '00:00+15:59', '178000000 years', '-Infinity', -0.0001, '-Infinity',
   '-0', 32767, -9223372036854775808, E'a\tb\nc\rd\\e\bf\v\f \\. \\n', E'\\N', '1234567', '', '\', '', B'00000',
   B'111111111', true, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'größer', 1e130, ROW(-1, ''), '{}', '{}',
   '{{1,NULL},{3,4}}', '{}', '"text"', 'null', '(,)', '["2020-01-01","2020-01-02")', '{}', '(NaN,Infinity)', NULL,
   '255.255.255.255', '::/0', NULL, '', '', '0/0', '$', 0, NULL, 0, ''),
  (3, '4713-01-01 BC', '294276-12-31 23:59:59.999999', '4713-01-01 00:00 BC', NULL, NULL, NULL,
   ('1' || repeat('0', 2000) || '.' || repeat('3', 500))::numeric, NULL, 1e-45, 1.7976931348623157e308, 0,
   9007199254740993, U&'\+01F600 e\0301 \202E \FEFF \200D \FFFF', E'\t', E'\n', NULL, '"', decode(repeat('00', 70000), 'hex'),
   NULL, NULL, NULL, NULL, 'so so', NULL, NULL, NULL, ARRAY[''], NULL, NULL, '[]', '[1, 1.0, 1.00, -0, 1e2]', NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, '5874897-12-31', NULL, '0001-01-01 00:00:00+00', NULL, NULL, '-178000000 years', 1e-16383, NULL, NULL, 5e-324, NULL,
   NULL, '', '', '', NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- 50 MB in one value: one that stays and one that is changed.
CREATE TABLE odd.big (id integer PRIMARY KEY, stays text, changes text);
INSERT INTO odd.big VALUES (1, repeat(E'stays\\N\t"\n\\. ', 4000000), 'short'), (2, NULL, repeat('geheim 4711 ', 4300000));

CREATE TABLE "Ünï côde"."Select ""from"" a.b" (
  "Id" integer PRIMARY KEY, "groß Straße" text, "a.b" integer, "quote""d" text, "ключ" text, "select" text,
  "\." text, ":run_time" text, "$1" text, "{}*" text,
  "nmlkjihgfedcbazyxwvutsrqponmlkjihgfedcbazyxwvutsrqponmlkjihgfed" text);
INSERT INTO "Ünï côde"."Select ""from"" a.b"
  SELECT i, 'geheim ' || i, i, 'q', 'ключ', E'\\N', 'p', 'r', 'd', 'g', 'l' FROM generate_series(1, 300) i;
CREATE UNIQUE INDEX "größter ""Index""" ON "Ünï côde"."Select ""from"" a.b" ("a.b", "quote""d");
CREATE TABLE "Ünï côde"."Kind" ("Id" integer PRIMARY KEY, "Eltern Id" integer,
  CONSTRAINT "zeigt auf ""Eltern""" FOREIGN KEY ("Eltern Id") REFERENCES "Ünï côde"."Select ""from"" a.b");
INSERT INTO "Ünï côde"."Kind" SELECT i, nullif(i % 7, 0) FROM generate_series(1, 500) i;

-- Foreign keys whose ends differ in bytes.
CREATE TABLE odd.tag (name citext PRIMARY KEY, label text);
INSERT INTO odd.tag SELECT 'Geheim-Tag-' || i, 'l' FROM generate_series(1000, 1300) i;
CREATE TABLE odd.tagged (id integer PRIMARY KEY, tag citext REFERENCES odd.tag);
INSERT INTO odd.tagged SELECT i, CASE i % 3 WHEN 0 THEN upper('geheim-tag-' || 1000 + i) WHEN 1 THEN 'geheim-tag-' || 1000 + i END
  FROM generate_series(1, 300) i;
CREATE TABLE odd.measure (k numeric PRIMARY KEY, v text);
INSERT INTO odd.measure SELECT (i || '.' || repeat('0', i % 4))::numeric, 'v' FROM generate_series(1, 200) i;
CREATE TABLE odd.measured (id integer PRIMARY KEY, k numeric REFERENCES odd.measure);
INSERT INTO odd.measured SELECT i, (1 + i % 200 || '.' || repeat('0', i % 3))::numeric FROM generate_series(1, 400) i;
CREATE TABLE odd.code (c char(10) PRIMARY KEY, v text);
INSERT INTO odd.code SELECT 'GH' || i, 'v' FROM generate_series(100000, 100300) i;
CREATE TABLE odd.coded (id integer PRIMARY KEY, c char(16) REFERENCES odd.code);
INSERT INTO odd.coded SELECT i, 'GH' || (100000 + i % 300) FROM generate_series(1, 400) i;
CREATE TABLE odd.word (w text COLLATE odd.caseless PRIMARY KEY);
INSERT INTO odd.word SELECT 'Wort ' || i FROM generate_series(1, 150) i;
CREATE TABLE odd.said (id integer PRIMARY KEY, w text COLLATE odd.caseless REFERENCES odd.word);
INSERT INTO odd.said SELECT i, upper('wort ' || 1 + i % 150) FROM generate_series(1, 300) i;

-- Keys of all kinds.
CREATE TABLE odd.huge (id bigint PRIMARY KEY, v text);
INSERT INTO odd.huge SELECT 9007199254740992 + i, 'v' || i FROM generate_series(1, 700) i
  UNION ALL VALUES (9223372036854775807, 'last'), (9223372036854775806, 'one before'), (-9223372036854775808, 'first'), (0, 'zero');
CREATE TABLE odd.huge_permuted (id bigint PRIMARY KEY, v text);
INSERT INTO odd.huge_permuted SELECT 9223372036854775807 - i, 'v' || i FROM generate_series(0, 300) i
  UNION ALL SELECT -9223372036854775807 + i, 'n' || i FROM generate_series(0, 10) i UNION ALL VALUES (0, 'zero');
CREATE TABLE odd.heap (a integer, b text);
INSERT INTO odd.heap SELECT nullif(i % 50, 0), nullif('geheim ' || i % 40, 'geheim 0') FROM generate_series(1, 2500) i;
CREATE TABLE odd.unique_only (a text NOT NULL, b integer NOT NULL, c text, UNIQUE (a, b));
INSERT INTO odd.unique_only SELECT 'geheim ' || chr(65 + i % 60), i, NULL FROM generate_series(1, 800) i;
CREATE TABLE odd.collated (a text COLLATE "de-x-icu", b text COLLATE "C", n integer, PRIMARY KEY (a, b));
INSERT INTO odd.collated SELECT w || i % 40, CASE i % 2 WHEN 0 THEN 'Ä' ELSE 'a' END || i, i
  FROM unnest(ARRAY['geheim', 'Geheim', 'ä', 'Z', 'ß', 'ss', '', E'\\N', E'\t', '😀', '-a', 'a-']) w, generate_series(1, 80) i;
CREATE TABLE odd.skewed (tenant integer, n integer, v text, PRIMARY KEY (tenant, n));
INSERT INTO odd.skewed SELECT CASE WHEN i % 10 = 0 THEN i ELSE 1 END, i, 'v' FROM generate_series(1, 3000) i;
CREATE TABLE odd.nothing ();
INSERT INTO odd.nothing DEFAULT VALUES;
INSERT INTO odd.nothing DEFAULT VALUES;
CREATE TABLE odd.empty (id integer PRIMARY KEY, v text);
CREATE UNLOGGED TABLE odd.unlogged (id integer PRIMARY KEY);
INSERT INTO odd.unlogged SELECT generate_series(1, 150);
DO $$ BEGIN
  EXECUTE 'CREATE TABLE odd.wide (id integer PRIMARY KEY, '
    || (SELECT string_agg(CASE WHEN i % 20 = 0 THEN 's_' ELSE 'k_' END || i || ' text', ', ') FROM generate_series(1, 499) i) || ')';
  EXECUTE 'INSERT INTO odd.wide SELECT n, '
    || (SELECT string_agg(format('CASE WHEN (n + %s) %% 3 > 0 THEN %L || n END', i, 'geheim ' || i || ' '), ', ') FROM generate_series(1, 499) i)
    || ' FROM generate_series(1, 250) n';
END $$;

-- Partitions below partitions, referenced in another order of columns than they were declared in.
CREATE TABLE odd.event (id bigint NOT NULL, at timestamptz NOT NULL, region text, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE odd.event_2023 PARTITION OF odd.event FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY HASH (id);
CREATE TABLE odd.event_2023_0 PARTITION OF odd.event_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE odd.event_2023_1 PARTITION OF odd.event_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE odd.event_2024 (v text, at timestamptz NOT NULL, region text, id bigint NOT NULL);
ALTER TABLE odd.event ATTACH PARTITION odd.event_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE odd.event_rest PARTITION OF odd.event DEFAULT;
CREATE INDEX event_region ON odd.event (region);
CREATE INDEX event_2024_v ON odd.event_2024 (v);
INSERT INTO odd.event SELECT i, '2022-06-01'::timestamptz + i * interval '1 day', 'r' || i % 5, 'geheim ' || i FROM generate_series(1, 1500) i;
CREATE TABLE odd.note (id integer PRIMARY KEY, noted_at timestamptz, noted_id bigint,
  FOREIGN KEY (noted_at, noted_id) REFERENCES odd.event (at, id));
INSERT INTO odd.note SELECT row_number() OVER (), at, id FROM odd.event WHERE id % 3 = 0;

CREATE TABLE odd.animal (id integer PRIMARY KEY, name text);
CREATE TABLE odd.dog (bark text, PRIMARY KEY (id)) INHERITS (odd.animal);
CREATE TABLE odd.puppy (PRIMARY KEY (id)) INHERITS (odd.dog);
INSERT INTO odd.animal SELECT i, 'animal ' || i FROM generate_series(1, 150) i;
INSERT INTO odd.dog SELECT i, 'dog ' || i, 'wau' FROM generate_series(1001, 1200) i;
INSERT INTO odd.puppy SELECT i, 'puppy ' || i, 'wuff' FROM generate_series(2001, 2050) i;

-- All-NOT-NULL cycles, deferred and not.
CREATE TABLE odd.chicken (id integer PRIMARY KEY, egg_id integer NOT NULL);
CREATE TABLE odd.egg (id integer PRIMARY KEY, chicken_id integer NOT NULL REFERENCES odd.chicken DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO odd.chicken SELECT i, i + 5000 FROM generate_series(1, 300) i;
INSERT INTO odd.egg SELECT i + 5000, 301 - i FROM generate_series(1, 300) i;
COMMIT;
ALTER TABLE odd.chicken ADD CONSTRAINT first_came FOREIGN KEY (egg_id) REFERENCES odd.egg ON DELETE CASCADE;
COMMENT ON CONSTRAINT first_came ON odd.chicken IS 'or did it?';
CREATE TABLE odd.booking (id integer PRIMARY KEY, room integer, during tstzrange,
  CONSTRAINT one_at_a_time EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 0));
INSERT INTO odd.booking SELECT i, i % 5, tstzrange('2024-01-01'::timestamptz + i * interval '1 hour', '2024-01-01'::timestamptz + (i + 1) * interval '1 hour')
  FROM generate_series(0, 400) i;

-- People: identity, generated columns, expression and partial indexes, a self reference, JSON, an unvalidated check.
CREATE TABLE odd.person (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, boss_id bigint REFERENCES odd.person DEFERRABLE, email text NOT NULL,
  first_name text, last_name text, full_name text GENERATED ALWAYS AS (first_name || ' ' || last_name) STORED,
  born date, paid numeric(12,2), paid_float double precision, prefs jsonb, notes text, tags text[], mood odd.mood,
  code odd.short, active boolean DEFAULT true, CONSTRAINT has_mail CHECK (email <> ''));
ALTER TABLE odd.person ADD CONSTRAINT old CHECK (id > 5) NOT VALID;
CREATE UNIQUE INDEX person_email ON odd.person (lower(email));
CREATE UNIQUE INDEX person_active ON odd.person (email) WHERE active;
CREATE INDEX person_name ON odd.person (last_name, first_name) INCLUDE (born) WITH (fillfactor = 60);
CREATE INDEX person_tags ON odd.person USING gin (tags);
CREATE UNIQUE INDEX person_identity ON odd.person (email, id);
ALTER TABLE odd.person REPLICA IDENTITY USING INDEX person_pkey;
ALTER TABLE odd.person CLUSTER ON person_name;
COMMENT ON INDEX odd.person_email IS 'one address, one person';
ALTER TABLE odd.person DROP CONSTRAINT old;
INSERT INTO odd.person (boss_id, email, first_name, last_name, born, paid, paid_float, prefs, notes, tags, mood, code, active)
  SELECT nullif(i / 10, 0), 'geheim.' || i || '@firma.example', 'Geheime' || i, E'O''Geheim\\' || i,
    CASE i % 100 WHEN 0 THEN 'infinity' WHEN 1 THEN NULL ELSE '1950-01-01'::date + i * 7 END,
    CASE WHEN i % 90 = 0 THEN 'NaN' ELSE i * 1.37 END, CASE WHEN i % 80 = 0 THEN 'NaN' WHEN i % 70 = 0 THEN '-Infinity' ELSE i / 7.0 END,
    jsonb_build_object('mail', 'geheim.' || i || '@firma.example', 'n', i, 'list', jsonb_build_array(NULL, 'geheim ' || i, 'ü"')),
    CASE i % 4 WHEN 0 THEN '' WHEN 1 THEN NULL WHEN 2 THEN E'geheim\t' || i || E'\n\\N \\. 😀' ELSE 'geheim 😀 ' || i END,
    ARRAY[NULL, 'a,"' || i, ''], 'größer', 'c' || i, i % 2 = 0
  FROM generate_series(1, 600) i;
ALTER TABLE odd.person ADD CONSTRAINT old CHECK (id > 5) NOT VALID;
CREATE TABLE odd.visit (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, person_id bigint REFERENCES odd.person ON DELETE SET NULL, v text);
INSERT INTO odd.visit (person_id, v) SELECT 1 + i % 600, 'v' FROM generate_series(1, 900) i;
CREATE MATERIALIZED VIEW odd.summary AS SELECT p.active, count(*) AS visits, max(p.full_name) AS somebody
  FROM odd.person p JOIN odd.visit v ON v.person_id = p.id GROUP BY 1;
-- As `pg_dump --schema-only` leaves it.
CREATE MATERIALIZED VIEW odd.unfilled AS SELECT email FROM odd.person WITH NO DATA;
CREATE VIEW odd.grouped AS SELECT p.*, count(v.id) AS visits FROM odd.person p JOIN odd.visit v ON v.person_id = p.id GROUP BY p.id;

-- Triggers in every state, and rules, each of which would spoil the copy.
CREATE FUNCTION odd.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'spoiled'; RETURN NEW; END $$;
CREATE FUNCTION odd.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TABLE odd.watched (id integer PRIMARY KEY, v text);
INSERT INTO odd.watched SELECT i, 'v' || i FROM generate_series(1, 200) i;
CREATE TRIGGER plain BEFORE INSERT OR UPDATE ON odd.watched FOR EACH ROW EXECUTE FUNCTION odd.spoil();
CREATE TRIGGER "Always On" BEFORE INSERT ON odd.watched FOR EACH ROW EXECUTE FUNCTION odd.spoil();
CREATE TRIGGER replica BEFORE INSERT ON odd.watched FOR EACH ROW EXECUTE FUNCTION odd.spoil();
CREATE TRIGGER off AFTER INSERT OR TRUNCATE ON odd.watched EXECUTE FUNCTION odd.refuse();
CREATE TRIGGER emptied BEFORE TRUNCATE ON odd.watched EXECUTE FUNCTION odd.refuse();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON odd.watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION odd.refuse();
ALTER TABLE odd.watched ENABLE ALWAYS TRIGGER "Always On", ENABLE REPLICA TRIGGER replica, DISABLE TRIGGER off;
CREATE TABLE odd.ruled (id integer PRIMARY KEY, v text);
INSERT INTO odd.ruled SELECT i, 'v' || i FROM generate_series(1, 200) i;
CREATE RULE away AS ON INSERT TO odd.ruled DO INSTEAD NOTHING;
CREATE RULE also AS ON DELETE TO odd.ruled DO ALSO DELETE FROM odd.watched;
ALTER TABLE odd.ruled ENABLE ALWAYS RULE away, DISABLE RULE also;

-- Row security that hides rows from their owner.
CREATE TABLE odd.secured (id integer PRIMARY KEY, v text);
INSERT INTO odd.secured SELECT i, 'v' || i FROM generate_series(1, 200) i;
CREATE POLICY half ON odd.secured USING (id % 2 = 0) WITH CHECK (id % 2 = 0);
ALTER TABLE odd.secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE odd.free MINVALUE -10 INCREMENT BY -3 MAXVALUE 100 START 90;
SELECT nextval('odd.free'), nextval('odd.free');
