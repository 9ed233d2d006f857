import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const built = (file: string) => pathToFileURL(resolve('dist', file)).href;

/** Starts both servers and says where they are. */
const PROGRAM = `
  import { startPostgres } from '${built('embedded/postgres.js')}';
  import { startTemporal } from '${built('embedded/temporal.js')}';
  const [postgres, temporal] = await Promise.all([startPostgres({ version: 18 }), startTemporal()]);
  console.log(JSON.stringify([[postgres.pid(), postgres.dataDir + '/..'], [temporal.pid, temporal.dataDir]]));
  setInterval(() => {}, 1000);`;

function lives(pid: number): boolean {
  try {
    // A process that nobody has waited for yet is gone all the same.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<void> {
  while (lives(pid)) await sleep(100);
}

test('servers end with the process that started them, also when it is killed', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
    cwd: dirname(built('.').replace('file://', '')),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const servers = JSON.parse(line.toString()) as [number, string][];
  for (const [pid] of servers) expect(lives(pid)).toBe(true);
  child.kill('SIGKILL');
  for (const [pid, folder] of servers) {
    await gone(pid);
    await rm(resolve(folder), { recursive: true });
  }
});
