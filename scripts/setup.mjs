/* Makes a fresh clone ready: dependencies as the lock file says, then a build, each only where it is missing or old. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function run(what, program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${what} failed${error ? `: ${error.message}` : ''}`);
  process.exit(status ?? 1);
}

/** Compares with what npm says it installed; packages for other platforms are optional and not there. */
function dependenciesAreInstalled() {
  const installedList = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedList)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedList, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    return installed[path] ? installed[path].version === version : optional === true;
  });
}

function installDependencies() {
  console.log('Installing dependencies (npm ci)');
  const args = ['ci', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  if (npm) run('npm ci', process.execPath, [npm, ...args]);
  else run('npm ci', 'npm', args);
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Lethe needs Node.js 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}
if (!dependenciesAreInstalled()) installDependencies();
run('The build', process.execPath, [join(root, 'scripts/build.mjs'), '--if-stale']);
