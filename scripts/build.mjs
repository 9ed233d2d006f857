/*
 * Builds dist/: TypeScript (types are checked by `npm run typecheck`), the files that are read at run time, the bundles of
 * processes and of workflows. `--if-stale` skips it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bundleProcesses } from './bundle.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const stamp = join(dist, '.built');
const lock = join(dist, '.building');

/** Every file below the source folders, relative to the root. */
function sources() {
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.build.json'), 'utf8'));
  return include
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath.slice(root.length + 1), entry.name)),
    )
    .sort();
}

/** Changes with any source file, and with what decides how they are built. */
function fingerprint(files) {
  const hash = createHash('sha256');
  for (const file of [
    ...files,
    'tsconfig.json',
    'tsconfig.build.json',
    'package-lock.json',
    'scripts/build.mjs',
    'scripts/bundle.mjs',
  ]) {
    hash.update(
      `${file}\0${createHash('sha256')
        .update(readFileSync(join(root, file)))
        .digest('hex')}\n`,
    );
  }
  return hash.digest('hex');
}

function isTypeScript(file) {
  return file.endsWith('.ts');
}

/** What comes of no source file any more must not live on in dist. */
function prune(files) {
  const kept = new Set(files.map((file) => file.replace(/\.ts$/, '')));
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name).slice(dist.length + 1);
    if (!entry.isFile() || !file.includes('/')) continue;
    if (!kept.has(file) && !kept.has(file.replace(/(\.d\.ts|\.js)(\.map)?$/, ''))) rmSync(join(dist, file));
  }
}

function compile() {
  const compiler = join(root, 'node_modules/@typescript/native/bin/tsc');
  const { status } = spawnSync(
    process.execPath,
    [compiler, '-p', join(root, 'tsconfig.build.json'), '--noCheck'],
    { stdio: 'inherit' },
  );
  return status === 0;
}

function copyAssets(files) {
  for (const file of files.filter((name) => !isTypeScript(name) && !/\.(md|as)$/.test(name))) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    copyFileSync(join(root, file), join(dist, file));
  }
}

/** Workers load the bundle as it is: bundling at their start would take seconds, and webpack in production. */
async function bundleWorkflows() {
  const workflowsPath = join(dist, 'workflows/index.js');
  const { bundleWorkflowCode } = await import('@temporalio/worker');
  const silent = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: silent });
  const target = join(dist, 'workflow-bundle.js');
  writeFileSync(`${target}.new`, code);
  renameSync(`${target}.new`, target);
}

async function build(files) {
  const compiled = compile();
  copyAssets(files);
  const bundles = await bundleProcesses(dist);
  prune([...files, ...bundles.map((file) => file.replace(/\.js$/, ''))]);
  chmodSync(join(dist, 'cli/main.js'), 0o755);
  await bundleWorkflows();
  return compiled;
}

/** Two builds at once would write one file over the other. */
async function locked(work) {
  mkdirSync(dist, { recursive: true });
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (!ownerLives()) rmSync(lock, { force: true });
      else await sleep(200);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function ownerLives() {
  try {
    const age = Date.now() - statSync(lock).mtimeMs;
    const owner = Number(readFileSync(lock, 'utf8'));
    if (owner === 0) return age < 2_000;
    process.kill(owner, 0);
    return true;
  } catch {
    return false;
  }
}

const ok = await locked(async () => {
  const files = sources();
  const print = fingerprint(files);
  if (process.argv.includes('--if-stale') && existsSync(stamp) && readFileSync(stamp, 'utf8') === print)
    return true;
  rmSync(stamp, { force: true });
  if (!(await build(files))) return false;
  writeFileSync(stamp, print);
  return true;
});
process.exit(ok ? 0 : 1);
