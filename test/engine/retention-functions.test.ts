import { afterAll, beforeAll, expect, it } from 'vitest';
import { installedRetention, installRetention, RETENTION_VERSION } from '../../postgres/retention/install.js';
import { ringSettings } from '../../postgres/retention/settings.js';
import { openSession, query, type Session, withSession } from '../../postgres/session.js';
import { parseHeader } from '../../retention/token/format.js';
import { sealJson } from '../../retention/token/json.js';
import { Revealer } from '../../retention/token/revealer.js';
import { dayKeys, Keyring, type Ring } from '../../retention/token/ring.js';
import { Sealer } from '../../retention/token/sealer.js';
import { revealText } from '../../retention/token/text.js';
import { createDatabase, onVersions, type TestDatabase } from '../harness/servers.js';
import { readVectors, type Vector } from '../pure/retention/scene.js';

const DAYS = ['2026-03-08', '2026-03-09', '2026-03-10'];
const DAY = '2026-03-10';
const keys = new Map(DAYS.map((day, i) => [day, dayKeys(Buffer.alloc(32, i + 1), 'ip', day)]));
const ring: Ring = {
  policy: 'ip',
  asOf: DAY,
  first: '2026-03-01',
  gone: ['2026-03-08'],
  keys,
  simulated: true,
};
const keyring = new Keyring([ring]);
const sealer = new Sealer({ keyring, policy: 'ip' });

/** The rings that a vector describes. */
function ringsOf({ token, dayKey, ring }: Vector): Ring[] {
  const header = parseHeader(token.slice(0, 13));
  if (!header || !ring) return [];
  const { policy, day } = header;
  const found = new Map(dayKey ? [[day, dayKeys(Buffer.from(dayKey, 'hex'), policy, day)]] : []);
  return [{ ...ring, policy, keys: found, simulated: true }];
}

onVersions('sealing and revealing in the database', (version) => {
  let database: TestDatabase;
  let session: Session;
  const open = (rings: Iterable<Ring>) =>
    openSession({
      url: database.url,
      role: 'destination',
      applicationName: 'lethe:retention',
      startup: ringSettings(rings),
    });
  const one = async (text: string, params: readonly unknown[] = []) =>
    Object.values((await query(session, text, params))[0]!)[0];

  beforeAll(async () => {
    database = await createDatabase(version);
    session = await open([ring]);
    await installRetention(session);
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });

  it('installs again, and knows its version', async () => {
    await installRetention(session);
    expect(await installedRetention(session)).toBe(RETENTION_VERSION);
  });

  it('does with every test vector what the vector says', async () => {
    const groups = new Map<string, { rings: Ring[]; vectors: [number, Vector][] }>();
    for (const [i, vector] of readVectors().entries()) {
      const rings = ringsOf(vector);
      const group = groups.get(JSON.stringify(ringSettings(rings))) ?? { rings, vectors: [] };
      group.vectors.push([i, vector]);
      groups.set(JSON.stringify(ringSettings(rings)), group);
    }
    const wrong: unknown[] = [];
    for (const { rings, vectors } of groups.values()) {
      const other = await open(rings);
      // In this session time and rings are as the vectors say; sealing needs a ring in which the day is open.
      const openRings = rings.map((one) => ({ ...one, asOf: '2099-12-31', first: '2000-01-01', gone: [] }));
      const sealing = await open(openRings);
      try {
        for (const [i, vector] of vectors) {
          const [row] = await query(
            other,
            `SELECT lethe.outcome($1, $2) AS outcome, encode(lethe.reveal_bytes($1, $2), 'hex') AS plain,
               lethe.reveal($1, $2) AS shown,
               lethe.reveal_with($1, $2, lethe.readable_keys($3)) AS viewed`,
            [vector.token, vector.context, [vector.token.slice(4, 6)]],
          );
          if (row!.outcome !== vector.outcome) wrong.push([i, vector.outcome, row!.outcome]);
          if (row!.plain !== (vector.outcome === 'value' ? vector.plaintext : null))
            wrong.push([i, 'plaintext']);
          const shown = revealText(new Revealer(new Keyring(rings), vector.context), vector.token);
          if (row!.shown !== shown) wrong.push([i, 'shown']);
          if (row!.viewed !== shown) wrong.push([i, 'viewed']);
          const header = parseHeader(vector.token.slice(0, 13));
          if (!vector.dayKey || !['value', 'expired', 'noKey'].includes(vector.outcome) || rings.length === 0)
            continue;
          const [sealed] = await query(
            sealing,
            `SELECT lethe.seal_with_salt(decode($1, 'hex'), $2, $3, $4, $5, $6, decode($7, 'hex')) AS token`,
            [
              vector.plaintext,
              vector.kind[1],
              header!.policy,
              vector.context,
              header!.day,
              vector.pad ?? 0,
              vector.deterministic ? null : vector.salt,
            ],
          );
          if (sealed!.token !== vector.token) wrong.push([i, 'sealed']);
        }
      } finally {
        await other.close();
        await sealing.close();
      }
    }
    expect(wrong).toEqual([]);
  });

  it('seals what the library reveals, and reveals what it seals', async () => {
    const revealer = new Revealer(keyring);
    for (const value of ['', '192.0.2.1', 'Zürich 😀', 'x'.repeat(5_000)]) {
      const token = await one(`SELECT lethe.seal($1::text, 'ip', day => $2)`, [value, DAY]);
      expect(revealer.open(token!).text).toBe(value);
      expect(await one('SELECT lethe.reveal($1)', [sealer.seal(value, DAY)])).toBe(value);
    }
    const bytes = await one(`SELECT lethe.seal('\\x00ff'::bytea, 'ip', day => $1, pad => 8)`, [DAY]);
    expect(revealer.open(bytes!).bytes?.toString('hex')).toBe('00ff');
    expect(await one('SELECT lethe.reveal($1)', [bytes])).toBe('[binary]');
    const same = new Sealer({ keyring, policy: 'ip', deterministic: true, context: 'c' }).seal('x', DAY);
    expect(await one(`SELECT lethe.seal_deterministic('x', 'ip', 'c', $1)`, [DAY])).toBe(same);
    expect(await one(`SELECT lethe.seal(NULL::text, 'ip')`)).toBe(null);
    expect(await one('SELECT lethe.reveal(NULL)')).toBe(null);
  });

  it('reveals tokens inside texts as the library does', async () => {
    const token = sealer.seal('192.0.2.1', DAY);
    const all = new Keyring([{ ...ring, gone: [] }]);
    const gone = new Sealer({ keyring: all, policy: 'ip' }).seal('x', '2026-03-08');
    const broken = token.replace('260310', '260309');
    const filler = 'A'.repeat(41);
    const texts = [
      '',
      'plain 1.0',
      `a ${token} é ${token}${token}.`,
      `${gone}|${broken}|${token.replace('.ip', '.zz')}`,
      `lt1.ip260310.${filler}${token} end`,
      `lt1.ip260230.${filler}${token} end`,
      `lt1.ip260310.lt1.ip260310.${filler}${token}`,
      `lt1.ip260310.${filler}lt1.ip260310.${filler}${token}`,
      `${broken}${broken}${gone}x`,
      `é${filler}lt1.ip260310.short.${token}`,
      gone,
      broken,
    ];
    const revealer = new Revealer(keyring);
    const markers = { expired: null, tampered: '?' };
    for (const text of texts) {
      expect(await one('SELECT lethe.reveal($1)', [text])).toBe(revealText(revealer, text));
      expect(await one(`SELECT lethe.reveal($1, expired => NULL, tampered => '?')`, [text])).toBe(
        revealText(revealer, text, { markers }),
      );
      const inside = `SELECT lethe.reveal_inside($1, '', lethe.readable_keys('{ip}'))`;
      expect(await one(inside, [text])).toBe(revealText(revealer, text));
    }
  });

  it('seals and reveals JSON as the library does', async () => {
    const text = '{"a": {"n": 1.50, "s": "192.0.2.1", "t": [true, null, {}, "x"]}, "b": "keep"}';
    const canonical = await one('SELECT $1::jsonb', [text]);
    const sealed = await one(`SELECT lethe.seal_json($1, '{a}', 'ip', 'log', $2)`, [text, DAY]);
    expect(sealed!.match(/lt1\.ip/g)).toHaveLength(4);
    expect(await one(`SELECT lethe.reveal_json($1, 'log')`, [sealed])).toBe(canonical);
    const labelled = new Sealer({ keyring, policy: 'ip', context: 'log' });
    const [ours] = sealJson(labelled, [text], [{ path: '$' }], { day: DAY });
    expect(await one(`SELECT lethe.reveal_json($1, 'log')`, [ours])).toBe(canonical);
    const other = await one(`SELECT lethe.reveal_json($1, 'other', tampered => NULL)`, [ours]);
    expect(other).toBe('{"a": {"n": null, "s": null, "t": [null, null, {}, null]}, "b": null}');
    expect(await one(`SELECT lethe.seal_json('{"a":1}', '{missing}', 'ip', '', $1)`, [DAY])).toBe('{"a": 1}');
    const huge = labelled.sealAll(['1e400000', '{', '[1]', '"x"'], { day: DAY, context: 'log#json' });
    expect(await one(`SELECT lethe.reveal_json($1, 'log', tampered => '?')`, [JSON.stringify(huge)])).toBe(
      '["?", "?", "?", "?"]',
    );
  });

  it('refuses to seal without a key, a day or room, in words without the value', async () => {
    const refused = [
      [`SELECT lethe.seal('secret'::text, 'ip', day => '2026-03-11')`, /no key of policy ip for 2026-03-11/],
      [`SELECT lethe.seal('secret'::text, 'ip', day => '2026-03-08')`, /no key of policy ip/],
      [`SELECT lethe.seal('secret'::text, 'ip', day => NULL)`, /needs a day/],
      [`SELECT lethe.seal('secret'::text, 'IP', day => '2026-03-10')`, /two characters/],
      [`SELECT lethe.seal(repeat('secret', 20000), 'ip', day => '2026-03-10')`, /does not fit/],
      [`SELECT lethe.seal('secret'::text, 'ip', repeat('x', 1025), '2026-03-10')`, /1024 bytes/],
    ] as const;
    for (const [sql, message] of refused) {
      const error = await session.client.query(sql).then(
        () => undefined,
        (thrown: Error) => thrown,
      );
      expect(error?.message, sql).toMatch(message);
      expect(error?.message).not.toContain('secret');
    }
  });

  it('goes by the clock where time is not simulated', async () => {
    const today = new Date().toISOString().slice(0, 10);
    const day = new Date(Date.now() - 20 * 86_400_000).toISOString().slice(0, 10);
    const own = new Map([[day, dayKeys(Buffer.alloc(32, 9), 'ip', day)]]);
    const base = { policy: 'ip', asOf: day, first: day, gone: [], keys: own };
    const token = new Sealer({ keyring: new Keyring([{ ...base, simulated: true }]), policy: 'ip' }).seal(
      'x',
      day,
    );
    for (const [window, outcome] of [
      [10, 'expired'],
      [40, 'value'],
    ] as const) {
      const other = await open([{ ...base, window }]);
      try {
        const [row] = await query(
          other,
          'SELECT lethe.outcome($1) AS outcome, lethe.today()::text AS today',
          [token],
        );
        expect(row!.outcome).toBe(outcome);
        expect(new Keyring([{ ...base, window }]).find('ip', day) === 'expired').toBe(outcome === 'expired');
        expect(row!.today! >= today).toBe(true);
      } finally {
        await other.close();
      }
    }
  });

  it('reveals in parallel workers, mutated tokens and all, and never raises', async () => {
    const tokens = sealer.sealAll(
      Array.from({ length: 200 }, (_, i) => `value ${i} é`),
      { day: DAY },
    ) as string[];
    const mutated = tokens.flatMap((token, i) => [
      token,
      token.slice(0, 13 + (i % 60)),
      `${token.slice(0, i % 70)}-${token.slice((i % 70) + 1)}`,
      `${token.slice(0, -2)}B.`,
      token.toUpperCase(),
      `é ${token} lt1.ip260310.${'A'.repeat(i)}${token}`,
      token.replace('260310', String(260_000 + i * 7)),
    ]);
    await query(session, 'CREATE TABLE public.parallel_token (token text) WITH (parallel_workers = 2)');
    await query(
      session,
      'INSERT INTO public.parallel_token SELECT t FROM unnest($1::text[]) AS t, generate_series(1, 4)',
      [mutated],
    );
    for (const [name, value] of [
      ['parallel_setup_cost', '0'],
      ['parallel_tuple_cost', '0'],
      ['min_parallel_table_scan_size', '0'],
      ['max_parallel_workers_per_gather', '2'],
      ['debug_parallel_query', 'on'],
      ['force_parallel_mode', 'on'],
    ]) {
      await query(
        session,
        `SELECT CASE WHEN current_setting($1, true) IS NOT NULL THEN set_config($1, $2, false) END`,
        [name, value],
      );
    }
    const sql = `SELECT token, lethe.reveal(token) AS shown, lethe.outcome(token) AS outcome,
      lethe.reveal_with(token, '', (SELECT lethe.readable_keys('{ip}'))) AS viewed,
      lethe.reveal_json(to_jsonb(token)) #>> '{}' AS leaf FROM public.parallel_token`;
    const plan = await query(session, `EXPLAIN (ANALYZE, COSTS off, TIMING off) ${sql}`);
    expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Workers Launched: [12]/);
    const rows = await query(session, sql);
    expect(rows.length).toBe(mutated.length * 4);
    const revealer = new Revealer(keyring);
    const opened = revealer.openAll(rows.map(({ token }) => token!));
    for (const [i, { token, shown, viewed, outcome, leaf }] of rows.entries()) {
      expect(outcome).toBe(opened[i]!.outcome);
      expect(shown).toBe(revealText(revealer, token!));
      expect(viewed).toBe(shown);
      expect(leaf).toBe(shown);
    }
    const functions = await query(
      session,
      `SELECT proname, provolatile, proparallel FROM pg_proc WHERE pronamespace = 'lethe'::regnamespace AND proname IN ('reveal', 'reveal_bytes', 'reveal_json')`,
    );
    expect(functions.map(({ provolatile, proparallel }) => [provolatile, proparallel])).toEqual(
      Array(3).fill(['s', 's']),
    );
  });

  it('takes settings that are broken for missing ones, and never raises', async () => {
    const token = sealer.seal('x', DAY);
    const good = ringSettings([ring]);
    const key = `lethe.k_ip260310`;
    const broken: Record<string, string>[] = [
      { [key]: '' },
      { [key]: 'x' },
      { [key]: `${good[key]!.slice(0, 87)}!` },
      { [key]: 'é'.repeat(44) },
      { [key]: '='.repeat(88) },
      { [key]: 'A'.repeat(87) },
      ...[
        '',
        'x',
        ',,,',
        '260310,260301,ten,',
        '260310,260301,,2603',
        '260310,260301,999999999999,',
        '1,2,3,4',
      ].map((text) => ({ 'lethe.r_ip': text, [key]: good[key]!.slice(0, 86) })),
    ];
    for (const settings of broken) {
      const other = await open([]);
      try {
        await query(other, 'SELECT set_config(n, v, false) FROM unnest($1::text[], $2::text[]) AS s (n, v)', [
          Object.keys({ ...good, ...settings }),
          Object.values({ ...good, ...settings }),
        ]);
        const [row] = await query(
          other,
          `SELECT lethe.reveal($1) AS shown, lethe.outcome($1) AS outcome, lethe.reveal_bytes($1) AS bytes,
             lethe.reveal_with($1, '', lethe.readable_keys('{ip}')) AS viewed, lethe.search_tokens('ip', '', 'x') IS NULL AS searched`,
          [token],
        );
        expect([settings, row!.shown, row!.viewed, row!.outcome, row!.bytes]).toEqual([
          settings,
          '[no key]',
          '[no key]',
          'noKey',
          null,
        ]);
        await expect(query(other, `SELECT lethe.seal('x'::text, 'ip', day => $1)`, [DAY])).rejects.toThrow();
      } finally {
        await other.close();
      }
    }
  });

  it('takes keys of 64 bytes alone as well, and asks the ring then', async () => {
    const settings = ringSettings([ring]);
    const short = Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [
        name,
        name.startsWith('lethe.k_') ? value.slice(0, 86) : value,
      ]),
    );
    const options = { url: database.url, role: 'destination', applicationName: 'lethe:retention' } as const;
    await withSession({ ...options, startup: short }, async (other) => {
      const [row] = await query(other, 'SELECT lethe.reveal($1) AS shown', [sealer.seal('x', DAY)]);
      expect(row!.shown).toBe('x');
    });
  });

  it('works for a role that owns nothing', async () => {
    const role = `retention_reader_${process.pid}`;
    await query(session, `CREATE ROLE ${role}`);
    try {
      await query(session, `SET ROLE ${role}`);
      expect(await one('SELECT lethe.reveal($1)', [sealer.seal('x', DAY)])).toBe('x');
      const sealed = await one(`SELECT lethe.seal('y'::text, 'ip', day => $1)`, [DAY]);
      expect(new Revealer(keyring).open(sealed!).text).toBe('y');
    } finally {
      await query(session, 'RESET ROLE');
      await query(session, `DROP ROLE ${role}`);
    }
  });
});

it('is for databases in UTF-8', async () => {
  const database = await createDatabase(18);
  try {
    await withSession(
      { url: database.url, role: 'destination', applicationName: 'lethe:retention' },
      async (session) => {
        await expect(installRetention({ ...session, serverEncoding: 'LATIN1' })).rejects.toThrow(/UTF8/);
      },
    );
  } finally {
    await database.drop();
  }
});
