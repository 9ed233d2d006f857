import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { LetheError } from '../errors/errors.js';
import { type PostgresVersion, postgresBinaries, type ServerUser, serverUser } from './postgres-binary.js';
import { freePort, type ServerProcess, startProcess, untilReady } from './process.js';

const run = promisify(execFile);

export type { PostgresVersion };

/** Server settings for data that nobody would miss: two to ten times faster, lost with the machine. */
export const THROWAWAY: Readonly<Record<string, string>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_wal_size: '4GB',
};

export interface PostgresOptions {
  readonly version: PostgresVersion;
  /** Folder of the cluster, made by `initdb` when empty, and kept. Default: a temporary one, removed by `stop`. */
  readonly dataDir?: string;
  /** Port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Password of the superuser `postgres`, when the cluster is new. Default: a random one, kept beside the cluster. */
  readonly superuserPassword?: string;
  /** Further server settings, such as `THROWAWAY`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresServer {
  readonly version: PostgresVersion;
  readonly port: number;
  readonly dataDir: string;
  /** Connection URL of the superuser. Default database: `postgres`. */
  url(database?: string): string;
  pid(): number;
  /** Shuts it down; removes a temporary `dataDir`. */
  stop(): Promise<void>;
  /** Immediate shutdown: what a crash leaves, to be recovered at the next start. */
  kill(): Promise<void>;
  /** Starts it again, on the same port, after `kill` or while it runs. */
  restart(): Promise<void>;
}

/**
 * Starts a real PostgreSQL server on 127.0.0.1, as an unprivileged user when we are root. It listens on TCP with
 * SCRAM passwords, and on no Unix socket.
 *
 * @throws LetheError `ToolMissing` without its programs; `Unreachable` when it does not come up in 60 s.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const user = serverUser();
  const binaries = await postgresBinaries(options.version, user);
  const home = options.dataDir ?? mkdtempSync(join(tmpdir(), `lethe-postgres-${options.version}-`));
  const dataDir = join(home, 'data');
  const password = await initialize(binaries, home, dataDir, options, user);
  const port = options.port ?? (await freePort());
  const url = (database = 'postgres') => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;
  const args = ['-D', dataDir, ...settingArguments({ ...fixedSettings(port), ...options.settings })];
  const start = () => launch(join(binaries, 'postgres'), args, join(home, 'postgres.log'), url(), user);
  let server = await start();
  return {
    version: options.version,
    port,
    dataDir,
    url,
    pid: () => server.pid,
    stop: async () => {
      // Nobody will read a temporary cluster again: no checkpoint.
      await server.end(options.dataDir ? 'SIGINT' : 'SIGQUIT', 20_000);
      if (!options.dataDir) await rm(home, { recursive: true, force: true });
    },
    kill: () => server.end('SIGQUIT', 10_000),
    restart: async () => {
      await server.end('SIGINT', 20_000);
      server = await start();
    },
  };
}

function fixedSettings(port: number): Record<string, string> {
  return {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
  };
}

function settingArguments(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Makes the cluster if it is not there; returns the superuser's password. */
async function initialize(
  binaries: string,
  home: string,
  dataDir: string,
  options: PostgresOptions,
  user: ServerUser | undefined,
): Promise<string> {
  const passwordFile = join(home, 'superuser-password');
  if (existsSync(join(dataDir, 'PG_VERSION'))) return readFile(passwordFile, 'utf8');
  const password = options.superuserPassword ?? randomBytes(12).toString('hex');
  await mkdir(dataDir, { recursive: true });
  await writeFile(passwordFile, password, { mode: 0o600 });
  // The server's user must get through `home`, and own what is in it.
  if (user) {
    await chmod(home, 0o755);
    await chown(dataDir, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  const locale = process.platform === 'linux' ? 'C.UTF-8' : 'en_US.UTF-8';
  const args = ['-D', dataDir, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  await run(join(binaries, 'initdb'), [...args, '--encoding=UTF8', `--locale=${locale}`, '--no-sync'], {
    cwd: '/',
    ...user,
  }).catch((error: { stderr?: string; message: string }) => {
    const reason = (error.stderr || error.message).trim().split('\n').at(-1);
    throw new LetheError(
      'Unreachable',
      `initdb of PostgreSQL ${options.version} in ${dataDir} failed: ${reason}`,
    );
  });
  return password;
}

async function launch(
  program: string,
  args: readonly string[],
  log: string,
  url: string,
  user: ServerUser | undefined,
): Promise<ServerProcess> {
  const server = startProcess(program, args, { log, orphanSignal: 'QUIT', ...user });
  try {
    await untilReady(server, 60_000, () => probe(url));
  } catch (error) {
    await server.end('SIGKILL', 0);
    const reason = error instanceof Error ? error.message : String(error);
    throw new LetheError('Unreachable', `PostgreSQL did not come up (${log}): ${reason}`);
  }
  return server;
}

async function probe(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  await client.connect();
  await client.end();
}
