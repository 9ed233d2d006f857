import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Ends, Stage } from './fixture.js';

/** That were started and have not ended: a test that failed may leave some. */
const alive = new Set<WorkerProcess>();

export async function killWorkersLeft(): Promise<void> {
  await Promise.all([...alive].map((worker) => worker.kill()));
}

/** A worker as it runs in production: `lethe worker` in a process of its own. */
export class WorkerProcess {
  private readonly child: ChildProcess;
  private output = '';
  private readonly ended: Promise<void>;

  constructor(
    stage: Stage,
    ends: Pick<Ends, 'env'>,
    options: { env?: Record<string, string>; threads?: number } = {},
  ) {
    const args = [
      'worker',
      '--task-queue',
      stage.taskQueue,
      '--threads',
      String(options.threads ?? 2),
      '--grace',
      '1',
    ];
    this.child = spawn(process.execPath, [resolve('dist/cli/main.js'), ...args], {
      env: {
        ...process.env,
        ...ends.env,
        TEMPORAL_ADDRESS: stage.address,
        LETHE_JOBS: '/nonexistent',
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    alive.add(this);
    const killWithUs = () => this.child.kill('SIGKILL');
    process.once('exit', killWithUs);
    const take = (text: Buffer) => {
      this.output += text.toString();
    };
    this.child.stdout?.on('data', take);
    this.child.stderr?.on('data', take);
    this.ended = new Promise((done) =>
      this.child.once('exit', () => {
        process.removeListener('exit', killWithUs);
        alive.delete(this);
        done();
      }),
    );
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Everything it printed. */
  get log(): string {
    return this.output;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async ready(): Promise<void> {
    while (!this.output.includes('Worker on')) {
      if (!this.alive) throw new Error(`The worker did not start: ${this.output}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  /** SIGSTOP: it holds what it holds, and answers nobody. */
  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  /** SIGKILL, as a crash would. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  async stop(): Promise<void> {
    if (!this.alive) return;
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 20_000);
    await this.ended;
    clearTimeout(timer);
  }
}

/** Starts workers side by side. */
export async function startWorkers(stage: Stage, ends: Ends, count: number): Promise<WorkerProcess[]> {
  const workers = Array.from({ length: count }, () => new WorkerProcess(stage, ends));
  await Promise.all(workers.map((worker) => worker.ready()));
  return workers;
}
