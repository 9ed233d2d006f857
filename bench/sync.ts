import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startTemporal } from '../embedded/temporal.js';
import { MemoryWatch } from './memory.js';
import type { Subject } from './rounds.js';
import { JOB, type Scene } from './scene.js';

const LETHE = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/**
 * A whole run as a user has it: `lethe sync` from its start to its exit code, on a Temporal server and a worker that
 * run already, planning, index builds and validation included.
 *
 * @param threads Of each worker process.
 * @param processes Worker processes beside each other. The memory is that of the first.
 */
export async function benchSync(scene: Scene, threads: number, processes = 1): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-bench-'));
  const file = join(folder, 'bench.yaml');
  await writeFile(file, JOB);
  const temporal = await startTemporal();
  const env = {
    ...process.env,
    TEMPORAL_ADDRESS: temporal.address,
    LETHE_JOBS: folder,
    BENCH_SOURCE: scene.source,
    BENCH_DESTINATION: scene.destination,
    BENCH_KEY: scene.key,
  };
  const workers = Array.from({ length: processes }, () =>
    spawn(process.execPath, [LETHE, 'worker', '--threads', String(threads)], { env, stdio: 'ignore' }),
  );
  const memory = new MemoryWatch(workers[0]!.pid!);
  return {
    name: processes === 1 ? 'lethe sync' : `lethe sync, ${processes} workers`,
    prepare: async () => undefined,
    peak: () => memory.peak(),
    run: () => lethe(['sync', file, '--json'], env),
    async end() {
      memory.end();
      for (const worker of workers) worker.kill('SIGTERM');
      await Promise.all(workers.map(ended));
      await temporal.stop();
      await rm(folder, { recursive: true });
    },
  };
}

async function lethe(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, [LETHE, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said = (said + data).slice(-4_000);
  });
  const code = await ended(child);
  if (code !== 0) throw new Error(`lethe ${args.join(' ')} ended with ${code}:\n${said}`);
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once('exit', resolve));
}
