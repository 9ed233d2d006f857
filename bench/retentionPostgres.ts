import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { startPostgres } from '../embedded/postgres.js';
import { postgresMissing } from '../embedded/postgres-binary.js';
import { installRetention } from '../postgres/retention/install.js';
import { ringSettings } from '../postgres/retention/settings.js';
import { installTables } from '../postgres/retention/tables.js';
import { openSession, query, type Session } from '../postgres/session.js';
import { dayKeys } from '../retention/index.js';
import { addDays } from '../retention/token/day.js';

const FIRST = '2026-03-01';
const DAYS = 30;
const POLICY = {
  id: 'ip',
  name: 'ip',
  window: DAYS,
  store: 'bench',
  context: '',
  expired: '[expired]',
  deterministic: false,
  requireGrade: 'bestEffort',
} as const;

/**
 * Reading sealed columns on PostgreSQL, beside encryption by pgcrypto, the plain column and the ways that were rejected.
 * Values on 15 as well: Debian builds it with OpenSSL 3, where hashing and encryption cost more a call than in our 18.
 */
export async function benchRetentionPostgres(rows: number, rounds: number): Promise<void> {
  const missing = postgresMissing(15);
  if (missing) console.log(missing);
  else await onServer(15, (session) => values(session, 15, Math.min(rows, 100_000), rounds));
  await onServer(18, async (session) => {
    await values(session, 18, Math.min(rows, 100_000), rounds);
    await views(session, rows, rounds);
  });
}

async function onServer(version: 15 | 18, work: (session: Session) => Promise<void>): Promise<void> {
  const server = await startPostgres({
    version,
    settings: { shared_buffers: '512MB', max_wal_size: '16GB', checkpoint_timeout: '1h' },
  });
  const days = Array.from({ length: DAYS }, (_, i) => addDays(FIRST, i));
  const keys = new Map(days.map((day) => [day, dayKeys(randomBytes(32), 'ip', day)]));
  const ring = { policy: 'ip', asOf: days.at(-1)!, first: FIRST, gone: [], keys, simulated: true };
  const session = await openSession({
    url: server.url(),
    role: 'destination',
    applicationName: 'bench',
    startup: ringSettings([ring]),
  });
  try {
    await query(session, 'SET max_parallel_workers_per_gather = 0');
    await installRetention(session);
    await work(session);
  } finally {
    await session.close();
    await server.stop();
  }
}

/** One value of 16 bytes a row, in every form. */
async function values(session: Session, version: number, rows: number, rounds: number): Promise<void> {
  await query(
    session,
    `CREATE TABLE public.value AS
     SELECT plain, lethe.seal(plain, 'ip', day => '${FIRST}'::date + (i % ${DAYS})) AS token, iv,
       lethe.encrypt_iv(plain::bytea, '\\x${'5a'.repeat(16)}', iv, 'aes-cbc/pad:pkcs') AS aes,
       lethe.pgp_sym_encrypt(plain, 'password', 's2k-mode=0') AS pgp
     FROM (SELECT i, rpad('10.' || (i & 255) || '.' || ((i >> 8) & 255) || '.' || (i >> 16), 16) AS plain,
       lethe.gen_random_bytes(16) AS iv FROM generate_series(1, ${rows}) AS i) AS made`,
  );
  await installTables(session, {
    policies: { ip: POLICY },
    tables: {
      'public.value': {
        readers: [],
        others: 'marker',
        view: 'public.value_readable',
        columns: { token: { policy: 'ip' } },
      },
    },
  });
  await query(session, 'VACUUM (ANALYZE) public.value');
  const sum = (what: string, from = 'public.value') => `SELECT sum(octet_length(${what})) AS n FROM ${from}`;
  const plain = 'the plain column';
  const times = await inTurns(session, rounds, [
    [plain, sum('plain')],
    ['the masked view', sum('token', 'public.value_readable')],
    ['lethe.reveal', sum('lethe.reveal(token)')],
    [
      'decrypt_iv, AES-128-CBC',
      sum(`lethe.decrypt_iv(aes, '\\x${'5a'.repeat(16)}', iv, 'aes-cbc/pad:pkcs')`),
    ],
    ['pgp_sym_decrypt, s2k-mode 0', sum(`lethe.pgp_sym_decrypt(pgp, 'password')`)],
  ]);
  console.log(
    `\nPostgreSQL ${version}, ${rows.toLocaleString('en')} values of 16 bytes, one backend, ${rounds} rounds in turns; CPU time, net of reading the plain column:`,
  );
  const base = times.get(plain)!;
  const aes = times.get('decrypt_iv, AES-128-CBC')!;
  for (const [name, { best, median }] of times) {
    const net = (of: 'best' | 'median') => (times.get(name)![of] - (name === plain ? 0 : base[of])) / rows;
    const ratio = (best - base.best) / (aes.best - base.best);
    console.log(
      `${name.padEnd(36)} ${(net('best') * 1e6).toFixed(2).padStart(7)} µs best ${(net('median') * 1e6).toFixed(2).padStart(7)} µs median ${perSecond(rows / (name === plain ? median : median - base.median))}${name === plain ? '' : `  ${ratio.toFixed(2)} × decrypt_iv`}`,
    );
  }
}

/** Log lines, a tenth of which hold a token, dated over 30 days; the same plain, and with a side table. */
async function views(session: Session, rows: number, rounds: number): Promise<void> {
  const line = (address: string) => `'GET /item/' || i || ' from ' || ${address} || ' in 12 ms'`;
  const address = `'10.' || (i & 255) || '.' || ((i >> 8) & 255) || '.' || (i >> 16)`;
  const day = `('${FIRST}'::date + (i % ${DAYS})::integer)`;
  for (const [name, text] of [
    [
      'sealed',
      `CASE WHEN i % 10 = 0 THEN ${line(`lethe.seal(${address}, 'ip', day => ${day})`)} ELSE ${line(`'nobody'`)} END`,
    ],
    ['plain', line(`CASE WHEN i % 10 = 0 THEN ${address} ELSE 'nobody' END`)],
    ['joined', line(`CASE WHEN i % 10 = 0 THEN '{' || i || '}' ELSE 'nobody' END`)],
  ]) {
    await query(
      session,
      `CREATE TABLE public.${name} (id bigint, at timestamptz, line text) PARTITION BY RANGE (at)`,
    );
    for (let i = 0; i < DAYS; i++)
      await query(
        session,
        `CREATE TABLE public.${name}_${i} PARTITION OF public.${name} FOR VALUES FROM ('${addDays(FIRST, i)}') TO ('${addDays(FIRST, i + 1)}')`,
      );
    await query(
      session,
      `INSERT INTO public.${name} SELECT i, ${day}, ${text} FROM generate_series(1::bigint, ${rows}) AS i`,
    );
    await query(session, `VACUUM (ANALYZE) public.${name}`);
  }
  await query(
    session,
    `CREATE TABLE public.side AS SELECT id, ${address.replaceAll('i ', 'id ')} AS address FROM public.plain WHERE id % 10 = 0`,
  );
  await query(session, 'ALTER TABLE public.side ADD PRIMARY KEY (id)');
  await query(session, 'VACUUM (ANALYZE) public.side');
  await installTables(session, {
    policies: { ip: POLICY },
    tables: {
      'public.sealed': {
        readers: [],
        others: 'marker',
        view: 'public.sealed_readable',
        columns: { line: { policy: 'ip', pattern: 'ipv4' } },
      },
    },
  });
  const since = `WHERE at >= '${addDays(FIRST, DAYS - 1)}'`;
  const times = await inTurns(session, Math.min(rounds, 3), [
    ['plain lines', 'SELECT sum(length(line)) FROM public.plain'],
    ['lines with tokens in 10 %, the view', 'SELECT sum(length(line)) FROM public.sealed_readable'],
    [
      'lines and a side table, JOIN',
      `SELECT sum(length(coalesce(replace(j.line, '{' || s.id || '}', s.address), j.line))) FROM public.joined j LEFT JOIN public.side s USING (id)`,
    ],
    ['plain lines, one day', `SELECT sum(length(line)) FROM public.plain ${since}`],
    ['the view, one day', `SELECT sum(length(line)) FROM public.sealed_readable ${since}`],
  ]);
  console.log(`\n${rows.toLocaleString('en')} lines in ${DAYS} partitions by day, CPU time:`);
  for (const [name, { best, median }] of times)
    console.log(
      `${name.padEnd(36)} ${(best * 1e3).toFixed(0).padStart(7)} ms best ${(median * 1e3).toFixed(0).padStart(7)} ms median`,
    );
  const plan = await query(session, `EXPLAIN (COSTS off) SELECT line FROM public.sealed_readable ${since}`);
  const scanned = plan.filter((row) => /Scan on sealed_\d/.test(row['QUERY PLAN'] ?? '')).length;
  console.log(`partitions that the view reads for one day: ${scanned} of ${DAYS}`);
  await update(session);
}

/** The rejected way: what an UPDATE of the one day that has just ended costs, every day. */
async function update(session: Session): Promise<void> {
  const [before] = await query(session, 'SELECT pg_current_wal_lsn() AS lsn');
  const start = secondsOf(session.pid);
  const { rowCount } = await session.client.query(
    `UPDATE public.plain SET line = regexp_replace(line, 'from [0-9.]+ ', 'from [expired] ') WHERE at < '${addDays(FIRST, 1)}'`,
  );
  const ms = (secondsOf(session.pid) - start) * 1e3;
  const [after] = await query(
    session,
    `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::bigint / 1048576 AS mb`,
    [before!.lsn],
  );
  console.log(
    `daily UPDATE of one day's ${rowCount?.toLocaleString('en')} rows`.padEnd(36),
    `${ms.toFixed(0).padStart(7)} ms, ${after!.mb} MB of WAL; sealed: 0 ms, no row`,
  );
}

interface Times {
  readonly best: number;
  readonly median: number;
}

/** Seconds of CPU that a backend has had, which other work on the machine falls on least; off Linux the time of day. */
function secondsOf(pid: number): number {
  const file = `/proc/${pid}/schedstat`;
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e9 : performance.now() / 1e3;
}

/** Seconds of each statement, run in turns. */
async function inTurns(
  session: Session,
  rounds: number,
  statements: readonly (readonly [name: string, sql: string])[],
): Promise<Map<string, Times>> {
  const times = new Map<string, number[]>(statements.map(([name]) => [name, []]));
  for (const [, sql] of statements) await query(session, sql);
  for (let round = 0; round < rounds; round++) {
    for (const [name, sql] of statements) {
      const start = secondsOf(session.pid);
      await query(session, sql);
      times.get(name)!.push(secondsOf(session.pid) - start);
    }
  }
  return new Map(
    [...times].map(([name, list]) => {
      const sorted = list.sort((a, b) => a - b);
      return [name, { best: sorted[0]!, median: sorted[sorted.length >> 1]! }];
    }),
  );
}

function perSecond(count: number): string {
  return `${Math.round(count).toLocaleString('en').padStart(10)}/s`;
}
