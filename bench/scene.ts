import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { type PostgresServer, startPostgres } from '../embedded/postgres.js';
import { openSession, query, type Session } from '../postgres/session.js';
import { INDEXES, rowsSql, TABLE } from './table.js';

const run = promisify(execFile);

/** Where it is measured: a server with a filled source, and an empty destination for each contestant. */
export interface Scene {
  readonly rows: number;
  readonly server: PostgresServer;
  readonly source: string;
  readonly baseline: string;
  readonly destination: string;
  /** Of the job, base64. */
  readonly key: string;
  /** Bytes of the table as COPY text. */
  readonly bytes: number;
  /** Runs statements in a database, outside the measurement. */
  sql(url: string, ...statements: string[]): Promise<void>;
  end(): Promise<void>;
}

/** Durable, as in production: commits reach the disk. Only checkpoints are kept out of the rounds. */
const SETTINGS = {
  max_wal_size: '16GB',
  checkpoint_timeout: '1h',
  shared_buffers: '512MB',
  max_connections: '50',
};

export async function openScene({ rows }: { rows: number }): Promise<Scene> {
  await run('psql', ['--version']).catch(() => {
    throw new Error('The baseline is psql, and there is none on PATH: apt-get install postgresql-client.');
  });
  console.log(`Making a table of ${rows.toLocaleString('en')} rows …`);
  const server = await startPostgres({ version: 18, settings: SETTINGS });
  const sql = async (url: string, ...statements: string[]) => {
    const session = await openSession({ url, role: 'destination', applicationName: 'bench' });
    try {
      for (const text of statements) await query(session, text);
    } finally {
      await session.close();
    }
  };
  for (const name of ['source', 'baseline', 'destination'])
    await sql(server.url(), `CREATE DATABASE ${name}`);
  await sql(server.url('source'), TABLE, rowsSql(rows), ...INDEXES);
  await sql(server.url('source'), 'VACUUM (ANALYZE) public.customer');
  for (const name of ['baseline', 'destination']) await sql(server.url(name), TABLE, ...INDEXES);
  return {
    rows,
    server,
    source: server.url('source'),
    baseline: server.url('baseline'),
    destination: server.url('destination'),
    key: randomBytes(32).toString('base64'),
    bytes: await copyBytes(server.url('source')),
    sql,
    end: () => server.stop(),
  };
}

async function copyBytes(url: string): Promise<number> {
  const { stdout } = await run('sh', ['-c', 'psql "$0" -X -c "COPY public.customer TO STDOUT" | wc -c', url]);
  return Number(stdout);
}

/** Text of the job that both measurements run. */
export const JOB = `job: bench
source: { postgres: env:BENCH_SOURCE }
destination: { postgres: env:BENCH_DESTINATION }
key: env:BENCH_KEY
unlisted: keep
concurrency: 2
tables:
  public.customer:
    columns:
      id: permute
      email: email
      first_name: firstName
      last_name: lastName
`;

/** For measurements that need a session of their own. */
export async function withUrl<T>(
  url: string,
  role: Session['role'],
  body: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession({ url, role, applicationName: 'bench' });
  try {
    return await body(session);
  } finally {
    await session.close();
  }
}
