import { spawn } from 'node:child_process';
import type { Scene } from './scene.js';

/** What is measured beside `COPY | COPY`. */
export interface Subject {
  readonly name: string;
  /** Empties what a round filled; not measured. */
  prepare(): Promise<void>;
  /** One measured round. Throws when the result is wrong. */
  run(): Promise<void>;
  /** Highest resident size that was seen, in bytes. */
  peak(): number;
  end(): Promise<void>;
}

/** Takes turns, so that what else the machine does falls on both alike, and prints the medians. */
export async function runRounds(scene: Scene, subject: Subject, rounds: number): Promise<void> {
  console.log(
    `${scene.rows.toLocaleString('en')} rows, ${megabytes(scene.bytes)} as COPY text, ${rounds} rounds in turns`,
  );
  const ours: number[] = [];
  const copies: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    await scene.sql(scene.baseline, 'TRUNCATE public.customer', 'CHECKPOINT');
    copies.push(await timed(() => copyPipe(scene)));
    await subject.prepare();
    await scene.sql(scene.destination, 'CHECKPOINT');
    ours.push(await timed(() => subject.run()));
    console.log(
      `  round ${round}: COPY | COPY ${seconds(copies.at(-1)!)}, ${subject.name} ${seconds(ours.at(-1)!)}, ratio ${(ours.at(-1)! / copies.at(-1)!).toFixed(2)}`,
    );
  }
  const [baseline, measured] = [median(copies), median(ours)];
  const ratios = ours.map((time, i) => time / copies[i]!);
  console.log(line('COPY | COPY (psql)', baseline, scene));
  console.log(line(subject.name, measured, scene));
  console.log(`ratio (median of ${rounds}): ${median(ratios).toFixed(2)}`);
  console.log(`peak memory of the worker: ${megabytes(subject.peak())}`);
}

/** `psql COPY TO STDOUT | psql COPY FROM STDIN`. */
function copyPipe({ source, baseline }: Scene): Promise<void> {
  const script =
    'psql "$0" -X -q -c "COPY public.customer TO STDOUT" | psql "$1" -X -q -c "COPY public.customer FROM STDIN"';
  return new Promise((resolve, reject) => {
    const shell = spawn('sh', ['-c', script, source, baseline], { stdio: 'inherit' });
    shell.on('error', reject);
    shell.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`psql ended with ${code}`))));
  });
}

/** Seconds. */
async function timed(body: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await body();
  return (performance.now() - start) / 1_000;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function line(name: string, time: number, { rows }: Scene): string {
  return `${name.padEnd(24)} ${seconds(time).padStart(8)} ${Math.round(rows / time)
    .toLocaleString('en')
    .padStart(10)} rows/s`;
}

function seconds(time: number): string {
  return `${time.toFixed(2)} s`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
