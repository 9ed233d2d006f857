import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SealedTable } from '../../job/retention/types.js';
import { ringSettings } from '../../postgres/retention/settings.js';
import { installTables, planTables, type TablesOf } from '../../postgres/retention/tables.js';
import { openSession, query, type Session, withSession } from '../../postgres/session.js';
import type { Policy } from '../../retention/keys/policy.js';
import { sealJson } from '../../retention/token/json.js';
import { sealMatches, sealMatchesAll } from '../../retention/token/matches.js';
import { Revealer } from '../../retention/token/revealer.js';
import { dayKeys, Keyring, type Ring } from '../../retention/token/ring.js';
import { Sealer } from '../../retention/token/sealer.js';
import { revealText } from '../../retention/token/text.js';
import { hexOf, sealByteWholes, sealWholes } from '../../retention/token/wholes.js';
import { createDatabase, onVersions, type TestDatabase } from '../harness/servers.js';

const DAY = '2026-03-10';
const GONE = '2026-03-01';

function policy(id: string, more: Partial<Policy> = {}): Policy {
  return {
    id,
    name: id,
    window: 30,
    store: 'main',
    context: '',
    expired: '[expired]',
    deterministic: false,
    requireGrade: 'bestEffort',
    ...more,
  };
}

const POLICIES = {
  ip: policy('ip', { context: 'log' }),
  de: policy('de', { deterministic: true, expired: null }),
};

function ring(id: string, gone: string[]): Ring {
  const keys = new Map(
    [DAY, GONE].map((day) => [day, dayKeys(Buffer.alloc(32, day === DAY ? 1 : 2), id, day)]),
  );
  return { policy: id, asOf: DAY, first: GONE, gone, keys, simulated: true };
}

const OPEN = ['ip', 'de'].map((id) => ring(id, []));
const RINGS = ['ip', 'de'].map((id) => ring(id, [GONE]));
const keyring = new Keyring(OPEN);
const ip = new Sealer({ keyring, policy: 'ip', context: 'log' });
const device = new Sealer({ keyring, policy: 'de', deterministic: true });

const EVENTS: SealedTable = {
  readers: [],
  others: 'marker',
  view: 'public.events_readable',
  columns: {
    ip: { policy: 'ip' },
    line: { policy: 'ip', pattern: 'ipv4' },
    doc: { policy: 'ip', paths: ['$.client.ip'] },
    device: { policy: { by: 'tenant', map: { acme: 'de' }, default: 'ip' } },
  },
};

const TABLE = `CREATE TABLE public.events (
  id bigint NOT NULL, at timestamptz NOT NULL, tenant text, ip varchar(200), line text, doc jsonb, device text
) PARTITION BY RANGE (at);
CREATE TABLE public.events_03 PARTITION OF public.events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
CREATE TABLE public.events_04 PARTITION OF public.events FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
CREATE INDEX ON public.events (device)`;

onVersions('masked views of sealed tables', (version) => {
  let database: TestDatabase;
  let session: Session;
  const reader = `view_reader_${process.pid}_${version}`;
  const other = `view_other_${process.pid}_${version}`;
  const file = (more: Partial<SealedTable> = {}): TablesOf => ({
    policies: POLICIES,
    tables: { 'public.events': { ...EVENTS, readers: [reader], ...more } },
  });
  const as = async (role: string, sql: string) => {
    await query(session, `SET ROLE ${role}`);
    try {
      return await query(session, sql);
    } finally {
      await query(session, 'RESET ROLE');
    }
  };

  beforeAll(async () => {
    database = await createDatabase(version);
    session = await openSession({
      url: database.url,
      role: 'destination',
      applicationName: 'lethe:retention',
      startup: ringSettings(RINGS),
    });
    await query(session, TABLE);
    for (const role of [reader, other]) await query(session, `CREATE ROLE ${role}`);
    const rows: [number, string, string][] = [
      [1, DAY, 'acme'],
      [2, GONE, 'acme'],
      [3, DAY, 'other'],
    ];
    for (const [id, day, tenant] of rows) {
      await query(session, 'INSERT INTO public.events VALUES ($1, $2, $3, $4, $5, $6, $7)', [
        id,
        `${day} 12:00Z`,
        tenant,
        ip.seal('192.0.2.1', day),
        sealMatches(ip, 'GET / from 192.0.2.1 ok', 'ipv4', day),
        JSON.stringify({ client: { ip: ip.seal('192.0.2.1', day), port: 80 } }),
        (tenant === 'acme' ? device : ip).seal('d-1', day),
      ]);
    }
    await query(session, 'ANALYZE public.events');
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });

  it('shows each role value, marker or NULL, in columns of the same types, through unchanged queries', async () => {
    const [installed] = await installTables(session, file());
    expect(installed?.view).toBe('public.events_readable');
    await installTables(session, file());
    await query(session, `GRANT SELECT ON public.events_readable TO ${other}`);
    const sql = `SELECT id, ip, line, doc::text AS doc, device FROM public.events_readable WHERE at >= '2026-03-01' ORDER BY id`;
    const readable = [
      {
        id: '1',
        ip: '192.0.2.1',
        line: 'GET / from 192.0.2.1 ok',
        doc: '{"client": {"ip": "192.0.2.1", "port": 80}}',
        device: 'd-1',
      },
      {
        id: '2',
        ip: '[expired]',
        line: 'GET / from [expired] ok',
        doc: '{"client": {"ip": "[expired]", "port": 80}}',
        device: null,
      },
      {
        id: '3',
        ip: '192.0.2.1',
        line: 'GET / from 192.0.2.1 ok',
        doc: '{"client": {"ip": "192.0.2.1", "port": 80}}',
        device: 'd-1',
      },
    ];
    expect(await query(session, sql)).toEqual(readable);
    expect(await as(reader, sql)).toEqual(readable);
    const hidden = await as(other, sql);
    expect(hidden).toEqual(
      [1, 2, 3].map((id) => ({
        id: String(id),
        ip: '[hidden]',
        line: 'GET / from [hidden] ok',
        doc: '{"client": {"ip": "[hidden]", "port": 80}}',
        device: '[hidden]',
      })),
    );
    const types = (relation: string) =>
      query(
        session,
        `SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
         WHERE attrelid = '${relation}'::regclass AND attnum > 0 ORDER BY attnum`,
      );
    expect(await types('public.events_readable')).toEqual(await types('public.events'));
    await query(session, 'DROP VIEW public.events_readable');
    await installTables(session, file({ others: 'null' }));
    await query(session, `GRANT SELECT ON public.events_readable TO ${other}`);
    expect((await as(other, sql)).map((row) => [row.ip, row.line, row.doc, row.device])).toEqual(
      [1, 2, 3].map(() => [null, null, '{"client": {"ip": null, "port": 80}}', null]),
    );
    await expect(as(other, 'SELECT * FROM public.events')).rejects.toThrow(/lacks a right/);
  });

  it('keeps partition pruning, and searches deterministic tokens by an index', async () => {
    await installTables(session, file({ others: 'null' }));
    const plan = async (sql: string) =>
      (await query(session, `EXPLAIN (COSTS off) ${sql}`)).map((row) => row['QUERY PLAN']).join('\n');
    const pruned = await plan(`SELECT * FROM public.events_readable WHERE at >= '2026-04-02'`);
    expect(pruned).toContain('events_04');
    expect(pruned).not.toContain('events_03');
    // The bodies stand in the plan, not calls of them, and keys are asked for once a query.
    const verbose = await query(
      session,
      'EXPLAIN (COSTS off, VERBOSE) SELECT ip, line FROM public.events_readable',
    );
    const body = verbose.map((row) => row['QUERY PLAN']).join('\n');
    expect(body).toContain('lethe.open_with(');
    expect(body).toContain('lethe.reveal_parts(');
    expect(body).not.toMatch(/lethe\.reveal_(with|inside)\(/);
    expect(body).toMatch(/InitPlan[\s\S]*lethe\.readable_keys\(/);
    const alone = await query(
      session,
      'EXPLAIN (COSTS off, VERBOSE) SELECT lethe.reveal(device) FROM public.events',
    );
    expect(alone.map((row) => row['QUERY PLAN']).join('\n')).toMatch(
      /^(?![\s\S]*lethe\.reveal(_with)?\()[\s\S]*lethe\.open_with\(/,
    );
    await query(session, 'SET enable_seqscan = off');
    const search = `SELECT id FROM public.events WHERE device = ANY (lethe.search_tokens('de', '', 'd-1'))`;
    expect(await plan(search)).toMatch(/Index Cond: \(device = ANY|Index Cond: \(\(device\)/);
    expect(await query(session, search)).toEqual([{ id: '1' }]);
    await query(session, 'RESET enable_seqscan');
    const [none] = await query(session, `SELECT lethe.search_tokens('yy', '', 'd-1') AS tokens`);
    expect(none!.tokens).toBeNull();
    await query(session, `SELECT set_config('lethe.r_yy', '260310,260308,,260309', false)`);
    const [closed] = await query(
      session,
      `SELECT lethe.search_tokens('yy', '', 'd-1') AS tokens, lethe.search_tokens('yy', '', '\\x00'::bytea) AS bytes`,
    );
    expect(closed).toEqual({ tokens: '{}', bytes: '{}' });
    const bytes = (value: string) =>
      `lethe.seal_column('${value}'::bytea, 'de', '', '${DAY}', 0, true, NULL) = ANY (lethe.search_tokens('de', '', '\\x00ff'::bytea))`;
    const [found] = await query(session, `SELECT ${bytes('\\x00ff')} AS same, ${bytes('\\x00fe')} AS other`);
    expect(found).toEqual({ same: 't', other: 'f' });
  });

  it('seals what is inserted or updated in plain, and refuses what it has no key for', async () => {
    await query(
      session,
      `CREATE TABLE public.visit (id int, day date, ip text, doc json, note text, raw bytea, whole jsonb)`,
    );
    const tables = {
      'public.visit': {
        date: 'day',
        readers: [],
        others: 'marker',
        view: 'public.visit_readable',
        trigger: true,
        check: true,
        columns: {
          ip: { policy: 'ip' },
          doc: { policy: 'ip', paths: ['$.a.b'] },
          raw: { policy: 'ip' },
          whole: { policy: 'ip', paths: ['$'] },
        },
      },
    } as const;
    await installTables(session, { policies: POLICIES, tables });
    const put = (sql: string) => query(session, sql);
    await put(`SET session_replication_role = replica`);
    await put(
      `INSERT INTO public.visit VALUES (1, '${DAY}', '192.0.2.9', '{"a": {"b": [1, "x"]}, "c": 2}', 'n', '\\x006c31ff', '{"k": [7, null]}')`,
    );
    await put(`SET session_replication_role = origin`);
    const [row] = await put('SELECT ip, doc::text AS doc FROM public.visit');
    expect(row!.ip).toMatch(/^lt1\.ip260310\./);
    expect(row!.doc!.match(/lt1\.ip260310\./g)).toHaveLength(2);
    const shown = 'SELECT ip, doc::text AS doc, note FROM public.visit_readable';
    const plain = { ip: '192.0.2.9', doc: '{"a": {"b": [1, "x"]}, "c": 2}', note: 'n' };
    expect(await put(shown)).toEqual([plain]);
    const stored = await put(`SELECT encode(raw, 'escape') AS raw, whole::text AS whole FROM public.visit`);
    expect(stored[0]!.raw).toMatch(/^lb1\.ip260310\.[\w-]+\.$/);
    expect(stored[0]!.whole).toMatch(/^\{"k": \["lt1\.ip260310\.[\w-]+\.", null\]\}$/);
    const bytes = 'SELECT raw::text AS raw, whole::text AS whole FROM public.visit_readable';
    expect(await put(bytes)).toEqual([{ raw: '\\x006c31ff', whole: '{"k": [7, null]}' }]);
    await put(`GRANT SELECT ON public.visit_readable TO ${other}`);
    const [hidden] = await as(
      other,
      `SELECT encode(raw, 'escape') AS raw, whole::text AS whole FROM public.visit_readable`,
    );
    expect(hidden).toEqual({ raw: '[hidden]', whole: '{"k": ["[hidden]", null]}' });
    await put(`UPDATE public.visit SET raw = raw, whole = whole`);
    const same = await put(`SELECT encode(raw, 'escape') AS raw, whole::text AS whole FROM public.visit`);
    expect(same).toEqual(stored);
    await put(`UPDATE public.visit SET note = 'm', ip = ip, doc = (jsonb_set(doc::jsonb, '{c}', '3'))::json`);
    expect((await put('SELECT ip FROM public.visit'))[0]!.ip).toBe(row!.ip);
    expect(await put(shown)).toEqual([{ ...plain, note: 'm', doc: '{"a": {"b": [1, "x"]}, "c": 3}' }]);
    await put(`UPDATE public.visit SET ip = '192.0.2.8'`);
    expect((await put(shown))[0]!.ip).toBe('192.0.2.8');
    await put(`UPDATE public.visit SET ip = NULL`);
    expect((await put(shown))[0]!.ip).toBeNull();
    for (const day of [`'2026-03-11'`, `'${GONE}'`, 'NULL'])
      await expect(put(`INSERT INTO public.visit VALUES (2, ${day}, '192.0.2.9')`)).rejects.toThrow();
    await put('DROP TRIGGER lethe_seal ON public.visit');
    await expect(put(`INSERT INTO public.visit VALUES (2, '${DAY}', '192.0.2.9')`)).rejects.toThrow(
      /lethe_sealed_ip/,
    );
    await expect(put(`INSERT INTO public.visit (id, raw) VALUES (2, 'plain')`)).rejects.toThrow(
      /lethe_sealed_raw/,
    );
    await put(`INSERT INTO public.visit (id, raw) VALUES (3, '[expired]')`);
  });

  it('seals on write what patterns and paths with any step find, as the library does', async () => {
    const LINES = [
      'from 192.0.2.1, 11.2.3.45 and 1.2.3.4.5',
      'A@b.example.org,x@y 192.0.2.7:80 é',
      'fe80::1 and ::ffff:192.0.2.1 1:2:3 12:34:56:78:9a:bc 1::2::3 ::1.2.3.04',
      'id 0F8FAD5B-d9cb-469f-a165-70867728950e. 01-23-45-67-89-AB',
      `${ip.seal('192.0.2.1', DAY)} 192.0.2.2 lt1.ip260310.${'A'.repeat(40)}@b.example.org`,
      ip.seal('x', GONE),
      'A@b.example.org@c.example.net',
      '1.2.3.4 ab:cd::1 a@b.example.org, '.repeat(40),
      'nothing',
      '',
    ];
    const names = ['ipv4', 'ipv6', 'email', 'mac', 'uuid'] as const;
    const columns = names.map((name) => `${name} text`).join(', ');
    await query(session, `CREATE TABLE public.lines (id int, day date, ${columns}, doc jsonb)`);
    const paths = ['$.list[*].ip', '$..email', '$.pair[1]', '$.all'];
    await installTables(session, {
      policies: POLICIES,
      tables: {
        'public.lines': {
          date: 'day',
          readers: [],
          others: 'marker',
          view: 'public.lines_readable',
          trigger: true,
          columns: {
            ...Object.fromEntries(names.map((name) => [name, { policy: 'ip', pattern: name }])),
            doc: { policy: 'de', paths },
          },
        },
      },
    });
    const doc = {
      list: [{ ip: 'a', n: 1 }, { ip: 2.5 }, 'ip'],
      pair: ['x', { deep: true }],
      email: 'e',
      sub: [{ email: [null, 'f', {}] }],
      all: 'g',
      '1': 'h',
    };
    const text = JSON.stringify(doc);
    for (const [id, line] of LINES.entries())
      await query(session, 'INSERT INTO public.lines VALUES ($1, $2, $3, $3, $3, $3, $3, $4)', [
        id,
        DAY,
        line,
        text,
      ]);
    const stored = await query(session, 'SELECT * FROM public.lines ORDER BY id');
    const known = new Keyring(RINGS);
    const sealer = new Sealer({ keyring: known, policy: 'ip', context: 'log' });
    const blank = (shown: string) => shown.replace(/(lt1\.ip260310\.)[\w-]+\./g, '$1.');
    for (const [id, line] of LINES.entries())
      for (const name of names) {
        expect(blank(stored[id]![name]!), `${name}: ${line}`).toBe(
          blank(sealMatches(sealer, line, name, DAY)),
        );
        // What was sealed opens, and is not sealed again.
        const revealer = new Revealer(known, 'log');
        expect(revealText(revealer, stored[id]![name]!)).toBe(revealText(revealer, line));
      }
    const [ours] = sealJson(
      new Sealer({ keyring: known, policy: 'de', deterministic: true }),
      [text],
      paths.map((path) => ({ path })),
      { day: DAY },
    );
    expect(JSON.parse(stored[0]!.doc!)).toEqual(JSON.parse(ours!));
    await query(session, `UPDATE public.lines SET ipv4 = ipv4 || '!', email = email || '!'`);
    const updated = await query(session, 'SELECT * FROM public.lines ORDER BY id');
    for (const [id, row] of updated.entries())
      for (const name of ['ipv4', 'email'] as const) expect(row[name]).toBe(`${stored[id]![name]}!`);
    // Nor by a session without keys, or whose keys begin later: its tokens are no plain text.
    const later = { ...ring('ip', []), asOf: '2026-03-12', first: '2026-03-11', keys: new Map() };
    for (const [times, rings] of [[], [later]].entries()) {
      const options = { url: database.url, role: 'destination', applicationName: 'lethe:retention' } as const;
      await withSession({ ...options, startup: ringSettings(rings) }, (other) =>
        query(other, `UPDATE public.lines SET email = email || '!'`),
      );
      for (const [id, { email }] of (
        await query(session, 'SELECT email FROM public.lines ORDER BY id')
      ).entries())
        expect(email).toBe(`${stored[id]!.email}!!${'!'.repeat(times)}`);
    }
  });

  it('seals tokens again, or leaves them, as the format says', async () => {
    const [early, keyless, tomorrow] = ['2026-02-27', '2026-03-05', '2026-03-11'];
    const every = [DAY, GONE, early, keyless, tomorrow];
    const anywhere = new Keyring(
      ['ip', 'de', 'zz'].map((id) => ({
        ...{ policy: id, asOf: '2026-03-31', first: '2026-01-01', gone: [], simulated: true },
        keys: new Map(
          every.map((day) => [day, ring(id, []).keys.get(day) ?? dayKeys(Buffer.alloc(32, 9), id, day)]),
        ),
      })),
    );
    const token = (policy: string, day: string, context = 'log') =>
      new Sealer({ keyring: anywhere, policy, context }).seal('x', day);
    const forged = (day: string) => `lt1.ip${day.slice(2).replaceAll('-', '')}.${'A'.repeat(40)}.`;
    // Whether it stays: in the library, and in PostgreSQL.
    const cases: [what: string, text: string, library: boolean, database: boolean][] = [
      ['it opens', token('ip', DAY), true, true],
      ['it opens under another policy', token('de', DAY), true, true],
      ['its day is destroyed or held', token('ip', GONE), true, true],
      ['the same, forged', forged(GONE), true, true],
      ['its day is before the first one', token('ip', early), false, true],
      ['the same, forged', forged(early), false, true],
      ['its day has no key', token('ip', keyless), false, true],
      ['the same, forged', forged(keyless), false, true],
      ['its day is to come', token('ip', tomorrow), false, true],
      ['its policy has no ring', token('zz', DAY), false, true],
      ['its tag is wrong', forged(DAY), false, false],
      ['it is of another context', token('ip', DAY, 'other'), false, false],
      ['it is no token', forged('2026-02-30'), false, false],
    ];
    const texts = cases.map(([, text]) => text);
    const sealer = new Sealer({ keyring: new Keyring(RINGS), policy: 'ip', context: 'log' });
    const documents = texts.map((text) => JSON.stringify({ a: text }));
    const bytes = texts.map(hexOf);
    const fields = sealJson(sealer, documents, [{ path: '$.a' }], { day: DAY });
    const wholes = sealWholes(sealer, texts, { day: DAY });
    const byteWholes = sealByteWholes(sealer, bytes, { day: DAY });
    const { texts: parts } = sealMatchesAll(sealer, texts, /\S+/, { day: DAY });

    await query(
      session,
      'CREATE TABLE public.twice (id int, day date, ip text, line text, raw bytea, doc jsonb)',
    );
    await installTables(session, {
      policies: POLICIES,
      tables: {
        'public.twice': {
          date: 'day',
          readers: [],
          others: 'marker',
          view: 'public.twice_readable',
          trigger: true,
          columns: {
            ip: { policy: 'ip' },
            line: { policy: 'ip', pattern: 'email' },
            raw: { policy: 'ip' },
            doc: { policy: 'ip', paths: ['$.a'] },
          },
        },
      },
    });
    await query(
      session,
      `INSERT INTO public.twice SELECT n, $2, t, t || 'x@b.example', convert_to(t, 'UTF8'), jsonb_build_object('a', t)
       FROM unnest($1::text[]) WITH ORDINALITY AS u (t, n)`,
      [texts, DAY],
    );
    const stored = await query(
      session,
      `SELECT ip AS whole, line, encode(raw, 'escape') AS raw, doc ->> 'a' AS leaf,
         lethe.seal_json(jsonb_build_object('a', u.t), '{a}', 'ip', 'log', $2) ->> 'a' AS json
       FROM public.twice JOIN unnest($1::text[]) WITH ORDINALITY AS u (t, n) ON n = id ORDER BY id`,
      [texts, DAY],
    );
    const fates = cases.map(([what, text], i) => {
      const { whole, line, raw, leaf, json } = stored[i]!;
      const library = [wholes[i], JSON.parse(fields[i]!).a, parts[i]].map((now) => now === text);
      // What is no token is a part of the address that follows it.
      const database = [whole, raw, leaf, json, line!.slice(0, text.length)].map((now) => now === text);
      return [what, [...library, byteWholes[i] === bytes[i]], database];
    });
    const all = (is: boolean, times: number) => Array.from({ length: times }, () => is);
    expect(fates).toEqual(
      cases.map(([what, , library, database]) => [what, all(library, 4), all(database, 5)]),
    );
    // Numbers and booleans, too, stay as the tokens that they became.
    const seal = (document: string) =>
      query(session, `SELECT lethe.seal_json($1, '{}', 'ip', 'log', $2)::text AS doc`, [document, DAY]);
    const [once] = await seal('{"n": 1, "b": true, "s": "1.5"}');
    expect(await seal(once!.doc!)).toEqual([once]);
  });

  it('seals and shows columns under a collation that tells no letter case apart', async () => {
    await query(
      session,
      `CREATE COLLATION public.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
    await query(
      session,
      `CREATE TABLE public.loose (id int, day date, kind text COLLATE public.caseless, name varchar(200) COLLATE public.caseless,
         line text COLLATE public.caseless)`,
    );
    const table = {
      date: 'day',
      readers: [],
      others: 'marker',
      view: 'public.loose_readable',
      trigger: true,
      check: true,
      columns: {
        name: { policy: { by: 'kind', map: { a: 'ip' }, default: 'de' } },
        line: { policy: 'ip', pattern: 'ipv4' },
      },
    } as const;
    const file = { policies: POLICIES, tables: { 'public.loose': table } };
    await installTables(session, file);
    await installTables(session, file);
    const row = (id: number, kind: string, name: string) =>
      query(session, 'INSERT INTO public.loose VALUES ($1, $2, $3, $4, $5)', [
        ...[id, DAY, kind, name, `FROM 192.0.2.1 ${ip.seal('192.0.2.2', DAY)}`],
      ]);
    await row(1, 'a', '[EXPIRED]');
    await row(2, 'A', 'd-1');
    await row(3, 'a', '[expired]');
    const stored = await query(session, 'SELECT name, line FROM public.loose ORDER BY id');
    expect(stored.map(({ name }) => name!.slice(0, 7))).toEqual(['lt1.ip2', 'lt1.de2', '[expire']);
    for (const { line } of stored) expect(line).toMatch(/^FROM lt1\.ip260310\.\S+ lt1\.ip260310\.\S+$/);
    const shown = 'FROM 192.0.2.1 192.0.2.2';
    expect(await query(session, 'SELECT name, line FROM public.loose_readable ORDER BY id')).toEqual([
      { name: '[EXPIRED]', line: shown },
      { name: 'd-1', line: shown },
      { name: '[expired]', line: shown },
    ]);
    await query(session, `GRANT SELECT ON public.loose_readable TO ${other}`);
    const [hidden] = await as(other, 'SELECT name, line FROM public.loose_readable WHERE id = 1');
    expect(hidden).toEqual({ name: '[hidden]', line: 'FROM [hidden] [hidden]' });
    const [called] = await query(
      session,
      `SELECT lethe.reveal(line, 'log') AS line, lethe.outcome(name, 'log') AS outcome, lethe.is_token(name) AS is,
         lethe.reveal_bytes(name, 'log') IS NULL AS closed, lethe.reveal(lethe.seal(line, 'ip', day => day)) = line AS again,
         cardinality(lethe.search_tokens('de', '', kind)) AS tokens FROM public.loose WHERE id = 2`,
    );
    expect(called).toMatchObject({ line: shown, outcome: 'tampered', is: 't', closed: 't', again: 't' });
    await query(session, 'CREATE UNIQUE INDEX loose_name ON public.loose (name, day)');
    const own = { ...table, columns: { name: { policy: 'de' } } };
    await expect(
      planTables(session, { policies: POLICIES, tables: { 'public.loose': own } }),
    ).rejects.toThrow(
      /loose\.name: index loose_name .*tokens tell letter case apart: ALTER TABLE … ALTER COLUMN … TYPE text/,
    );
  });

  it('keeps uniqueness within a day, and says where it would be lost', async () => {
    const table = {
      date: 'day',
      readers: [],
      others: 'marker',
      view: 'public.device_readable',
      trigger: true,
      columns: { name: { policy: 'de' } },
    } as const;
    const file = { policies: POLICIES, tables: { 'public.device': table } };
    await query(session, 'CREATE TABLE public.device (id int, day date, name text UNIQUE)');
    await query(session, 'CREATE TABLE public.child (name text REFERENCES public.device (name))');
    const refused = await planTables(session, file).catch((error: Error) => error.message);
    expect(refused).toMatch(
      /device\.name: index device_name_key .*again the next day. Make it a plain unique index over name, day/,
    );
    expect(refused).toMatch(/device\.name: foreign key child_name_fkey of public\.child refers to it/);
    await query(session, 'DROP TABLE public.child');
    await query(session, 'ALTER TABLE public.device DROP CONSTRAINT device_name_key');
    await query(session, 'CREATE UNIQUE INDEX lower_name ON public.device (lower(name), day)');
    await expect(planTables(session, file)).rejects.toThrow(/index lower_name keeps it unique/);
    await query(session, 'DROP INDEX public.lower_name');
    const index = (more: string) => `CREATE UNIQUE INDEX by_name ON public.device (name, day)${more}`;
    await query(session, index(' NULLS NOT DISTINCT'));
    await expect(planTables(session, file)).rejects.toThrow(/rows that are redacted would be alike.*anew/);
    await query(session, 'DROP INDEX public.by_name');
    await query(session, index(''));
    const marked = { ...POLICIES, de: policy('de', { deterministic: true }) };
    await expect(planTables(session, { ...file, policies: marked })).rejects.toThrow(
      /index by_name .*say expired: null of its policy/,
    );
    await installTables(session, file);
    await query(session, `INSERT INTO public.device VALUES (1, '${DAY}', 'd-1'), (2, '${DAY}', 'd-2')`);
    await expect(query(session, `INSERT INTO public.device VALUES (3, '${DAY}', 'd-1')`)).rejects.toThrow(
      /by_name/,
    );
    await query(session, 'SET enable_seqscan = off');
    const search = `SELECT id FROM public.device WHERE name = ANY (lethe.search_tokens('de', '', 'd-1'))`;
    expect((await query(session, `EXPLAIN ${search}`)).map((row) => row['QUERY PLAN']).join()).toContain(
      'by_name',
    );
    expect(await query(session, search)).toEqual([{ id: '1' }]);
    await query(session, 'RESET enable_seqscan');
  });

  it('refuses what cannot be sealed, all of it at once, and says the way out', async () => {
    await query(
      session,
      `CREATE TABLE public.narrow (id int PRIMARY KEY, short varchar(45), long varchar(90), unique_one text UNIQUE,
         source text, made text GENERATED ALWAYS AS (upper(source)) STORED, number inet, at text, line varchar(500), doc jsonb)`,
    );
    await query(session, `INSERT INTO public.narrow (id, short, long) VALUES (1, 'x', repeat('y', 60))`);
    await query(session, 'CREATE MATERIALIZED VIEW public.kept AS SELECT ip FROM public.events_readable');
    await query(
      session,
      `CREATE STATISTICS public.seen ON (lethe.reveal(ip, 'log')), tenant FROM public.events`,
    );
    await query(session, 'CREATE VIEW public.taken AS SELECT 1 AS one');
    const columns = Object.fromEntries(
      ['short', 'long', 'unique_one', 'source', 'made', 'number', 'missing'].map((name) => [
        name,
        { policy: 'ip' },
      ]),
    );
    const error = await planTables(session, {
      policies: POLICIES,
      tables: {
        'public.events': { ...EVENTS, readers: ['nobody_here'] },
        'public.gone': EVENTS,
        'public.narrow': {
          date: 'at',
          readers: [],
          others: 'marker',
          view: 'public.taken',
          trigger: true,
          columns: { ...columns, doc: { policy: 'ip' }, line: { policy: 'ip', pattern: 'id=\\d+' } },
        },
      },
    }).then(
      () => undefined,
      (thrown: Error) => thrown.message,
    );
    for (const part of [
      /no table public\.gone/,
      /narrow\.short: .*needs 73 characters/,
      /narrow\.long: .*needs 132 characters/,
      /narrow\.unique_one: index .* keeps it unique/,
      /narrow\.source: column made is generated from it/,
      /narrow\.made: it is generated/,
      /narrow\.number: tokens are text/,
      /narrow has no column missing/,
      /no column at of type date/,
      /narrow\.line: .*too short/,
      /narrow\.line: the trigger finds ipv4, .* an expression of your own/,
      /narrow\.doc: .* paths: \["\$"\]/,
      /taken is there and is not the masked view/,
      /no role nobody_here/,
      /Materialized view kept|Materialized view public\.kept/,
      /Statistics object public\.seen/,
    ])
      expect(error).toMatch(part);
    await query(session, 'DROP MATERIALIZED VIEW public.kept');
    await query(session, 'DROP STATISTICS public.seen');
  });
});
