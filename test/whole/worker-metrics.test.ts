import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { freePort } from '../../embedded/process.js';
import { temporal, uniqueTaskQueue } from '../harness/servers.js';

const MAIN = resolve('dist/cli/main.js');

/** What the image's health check asks for. */
async function untilPolling(url: string): Promise<string> {
  for (;;) {
    const text = await fetch(url).then(
      (response) => response.text(),
      () => '',
    );
    if (/^temporal_num_pollers.* [1-9]/m.test(text)) return text;
    await sleep(200);
  }
}

test('a worker serves its metrics, and ends well on SIGTERM', async () => {
  const { address, namespace } = await temporal();
  const metrics = `127.0.0.1:${await freePort()}`;
  const queue = uniqueTaskQueue();
  const worker = spawn(process.execPath, [MAIN, 'worker', '--task-queue', queue], {
    env: { ...process.env, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, LETHE_METRICS: metrics },
    stdio: 'ignore',
  });
  const ended = once(worker, 'exit');
  expect(await untilPolling(`http://${metrics}/metrics`)).toContain(`task_queue="${queue}-data"`);
  worker.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('an address that cannot be one is refused before anything is tried', () => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'worker', '--metrics', 'here'], {
    env: { ...process.env, TEMPORAL_ADDRESS: '127.0.0.1:1' },
    encoding: 'utf8',
  });
  expect(status).toBe(2);
  expect(stderr).toContain('--metrics');
});
