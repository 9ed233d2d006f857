import { execFile, spawn } from 'node:child_process';
import { access, constants, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { LetheError } from '../../errors/errors.js';

export interface PgDump {
  /** Path of pg_dump; pg_restore lies beside it. */
  readonly path: string;
  /** Major version. */
  readonly version: number;
}

/** Where packages put the versions that are not on PATH. */
const PACKAGE_ROOTS = ['/usr/lib/postgresql', '/usr/local/opt', '/opt/homebrew/opt'];

/**
 * The oldest pg_dump that is not older than the server: on PATH, or where Debian and Homebrew keep each version.
 *
 * @throws LetheError `ToolMissing` saying which versions were found.
 */
export async function findPgDump(serverMajor: number): Promise<PgDump> {
  const found = (await Promise.all((await candidates()).map(versionOf))).filter((one) => one !== undefined);
  const fit = found.filter((one) => one.version >= serverMajor).sort((a, b) => a.version - b.version)[0];
  if (fit) return fit;
  const versions = [...new Set(found.map((one) => one.version))].sort((a, b) => a - b);
  throw new LetheError(
    'ToolMissing',
    `createSchema needs a pg_dump that is not older than the source (PostgreSQL ${serverMajor}); ` +
      (versions.length > 0 ? `found only ${versions.join(', ')}. ` : 'none was found. ') +
      `Install the PostgreSQL ${serverMajor} client (Debian: apt-get install postgresql-client-${serverMajor}), put its pg_dump on PATH, or create the destination's tables yourself.`,
  );
}

async function candidates(): Promise<string[]> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  for (const root of PACKAGE_ROOTS) {
    const entries = await readdir(root).catch(() => []);
    folders.push(
      ...entries.filter((name) => /^(postgresql@)?\d+$/.test(name)).map((name) => join(root, name, 'bin')),
    );
  }
  return [...new Set(folders)].map((folder) => join(folder, 'pg_dump'));
}

async function versionOf(path: string): Promise<PgDump | undefined> {
  try {
    await access(path, constants.X_OK);
    await access(join(dirname(path), 'pg_restore'), constants.X_OK);
    const { stdout } = await promisify(execFile)(path, ['--version'], {
      env: environment(undefined),
      timeout: 10_000,
    });
    const version = Number(/(\d+)(?:\.\d+|devel|beta|rc)/.exec(stdout)?.[1]);
    return version > 0 ? { path, version } : undefined;
  } catch {
    return undefined;
  }
}

export interface DumpRequest {
  readonly url: string;
  readonly schemas: readonly string[];
  readonly extensions: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * The schema's definitions as SQL, without owners, rights and tablespaces. `keep` sees each entry of the dump's table
 * of contents (`TABLE public customer owner`) and says whether it stays.
 */
export async function dumpSchema(
  tool: PgDump,
  request: DumpRequest,
  keep: (entries: readonly string[]) => readonly boolean[],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-schema-'));
  try {
    const [archive, list] = [join(folder, 'archive'), join(folder, 'list')];
    const { target, password } = splitPassword(request.url);
    await run(
      tool.path,
      [...dumpArguments(request), `--file=${archive}`, `--dbname=${target}`],
      password,
      request.signal,
    );
    const restore = join(dirname(tool.path), 'pg_restore');
    const contents = await run(restore, ['--list', archive], undefined, request.signal);
    await writeFile(list, filterContents(contents, keep));
    const plain = [
      '--no-owner',
      '--no-privileges',
      '--no-tablespaces',
      '--no-publications',
      '--no-subscriptions',
    ];
    const sql = await run(
      restore,
      [...plain, `--use-list=${list}`, '--file=-', archive],
      undefined,
      request.signal,
    );
    return withoutMetaCommands(sql);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function dumpArguments({ schemas, extensions }: DumpRequest): string[] {
  return [
    '--format=custom',
    '--section=pre-data',
    '--section=post-data',
    '--no-owner',
    '--no-privileges',
    '--no-tablespaces',
    '--no-publications',
    '--no-subscriptions',
    '--no-security-labels',
    '--no-password',
    '--lock-wait-timeout=60s',
    ...schemas.map((schema) => `--schema=${pattern(schema)}`),
    ...extensions.map((extension) => `--extension=${pattern(extension)}`),
  ];
}

/** pg_dump folds and globs what is not quoted. */
function pattern(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Parameters that libpq knows too; the driver's own would be refused. */
const LIBPQ = new Set(
  'host hostaddr port user dbname sslmode sslcert sslkey sslrootcert sslcrl sslnegotiation connect_timeout options channel_binding'.split(
    ' ',
  ),
);

/** Arguments are visible to every user of the machine: the password goes by the environment. */
function splitPassword(text: string): { target: string; password: string | undefined } {
  const url = new URL(text);
  const password = decodeURIComponent(url.password) || url.searchParams.get('password') || undefined;
  url.password = '';
  for (const name of [...url.searchParams.keys()]) if (!LIBPQ.has(name)) url.searchParams.delete(name);
  return { target: url.href, password };
}

function filterContents(contents: string, keep: (entries: readonly string[]) => readonly boolean[]): string {
  const lines = contents.split('\n').filter((line) => /^\d+; /.test(line));
  const kept = keep(lines.map((line) => line.replace(/^\d+; \d+ \d+ /, '')));
  return `${lines.filter((_, i) => kept[i]).join('\n')}\n`;
}

/** Newer versions put psql's `\restrict` around the script, and set what an older server does not know. */
function withoutMetaCommands(sql: string): string {
  return sql.replace(/^\\(un)?restrict [A-Za-z0-9]+$/gm, '').replace(/^SET transaction_timeout = 0;$/m, '');
}

function run(
  command: string,
  args: readonly string[],
  password: string | undefined,
  signal?: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: environment(password),
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    const out: Buffer[] = [];
    let complaints = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaints = (complaints + chunk).slice(0, 64_000);
    });
    child.on('error', () => reject(new LetheError('Unreachable', 'pg_dump could not be run to its end.')));
    child.on('close', (code) =>
      code === 0 ? resolve(Buffer.concat(out).toString('utf8')) : reject(failureOf(complaints)),
    );
  });
}

/** Nothing of the worker's environment but what programs need to run and to log in: it may hold keys. */
function environment(password: string | undefined): NodeJS.ProcessEnv {
  const inherited = [
    'PATH',
    'HOME',
    'TMPDIR',
    'LD_LIBRARY_PATH',
    'PGPASSFILE',
    'PGSSLMODE',
    'PGSSLROOTCERT',
    'PGSSLCERT',
    'PGSSLKEY',
  ];
  const env = Object.fromEntries(inherited.map((name) => [name, process.env[name]]));
  return {
    ...env,
    LC_ALL: 'C',
    PGCLIENTENCODING: 'UTF8',
    PGCONNECT_TIMEOUT: '15',
    PGAPPNAME: 'lethe:schema',
    PGPASSWORD: password ?? process.env.PGPASSWORD,
  };
}

/** pg_dump reads definitions only, so its errors hold names, not values; still only the kind and the name are told. */
function failureOf(complaints: string): LetheError {
  const denied = /permission denied for (\w+ [^\n]+)/.exec(complaints);
  if (denied) {
    return new LetheError(
      'PermissionDenied',
      `pg_dump may not read ${denied[1]} of the source; \`lethe grants\` prints what the role needs.`,
    );
  }
  if (/password|authentication|no pg_hba\.conf/.test(complaints)) {
    return new LetheError('AuthenticationFailed', 'The source refused the login of pg_dump.');
  }
  if (/could not (connect|translate)|connection .*failed|lock timeout/.test(complaints)) {
    return new LetheError(
      'Unreachable',
      'pg_dump could not reach the source, or did not get its locks within a minute.',
    );
  }
  const line = /error: ([^\n"']{1,120})/.exec(complaints)?.[1];
  return new LetheError('DatabaseError', `pg_dump failed on the source${line ? `: ${line}` : ''}.`);
}
