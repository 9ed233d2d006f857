import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { jobFolder } from '../../job/folder.js';
import { knownRetentionFile } from '../../job/retention/folder.js';
import { tell } from '../terminal.js';
import { wholeNumber } from './options.js';

interface WorkerOptions {
  readonly taskQueue: string;
  readonly threads?: number;
  readonly grace: number;
  readonly metrics?: string;
  readonly health?: string;
  readonly logFormat?: string;
}

export function define(command: Command): void {
  command
    .option('--task-queue <name>', 'task queue; rows move on <name>-data', 'lethe')
    .option('--threads <n>', 'partitions at once (default: the cores of the machine)', wholeNumber)
    .option('--grace <seconds>', 'time that partitions under way get to end', wholeNumber, 30)
    .option(
      '--metrics <address>',
      'IP address and port that serve Prometheus metrics under /metrics (default: LETHE_METRICS, else none)',
    )
    .option(
      '--health <address>',
      'IP address and port that serve /healthz and /readyz (default: LETHE_HEALTH, else none)',
    )
    .option('--log-format <format>', 'text or json (default: LETHE_LOG, else text)')
    .addHelpText(
      'after',
      `
A worker resolves the references of jobs (env:, file:, exec:), so all workers of a cluster need the same ones.
Runs can be started from the Temporal UI with {"job": "NAME"} for the jobs in its folder (LETHE_JOBS, default ./jobs), and
generateDayKeys and destroyDayKeys for the key stores of retention files there, and of LETHE_RETENTION or ./retention.yaml.

Examples:
  $ TEMPORAL_ADDRESS=temporal:7233 LETHE_JOBS=/etc/lethe/jobs lethe worker --threads 4`,
    )
    .action(run);
}

async function run(options: WorkerOptions): Promise<void> {
  const metrics = address('metrics', options.metrics ?? process.env.LETHE_METRICS);
  const health = address('health', options.health ?? process.env.LETHE_HEALTH);
  const format = logFormat(options.logFormat ?? process.env.LETHE_LOG);
  const { temporalSettings, connectClient } = await import('../../workers/connection.js');
  const settings = await temporalSettings();
  if (!settings) {
    throw new LetheError(
      'JobInvalid',
      'A worker needs a cluster: set TEMPORAL_ADDRESS, or use `lethe dev`, which brings a server of its own.',
    );
  }
  const client = await connectClient(settings);
  const { startWorker } = await import('../../workers/serve.js');
  const worker = await startWorker({
    client,
    settings,
    taskQueue: options.taskQueue,
    threads: options.threads,
    shutdownGraceSeconds: options.grace,
    jobsFolder: jobFolder(),
    retentionFile: knownRetentionFile(),
    logLevel: 'INFO',
    logFormat: format,
    metricsAddress: metrics,
    ...(health !== undefined && { health: hostAndPort(health) }),
  });
  const note = format === 'json' ? (text: string) => worker.log(text) : tell;
  note(
    `Worker on ${settings.connection.address}, namespace ${settings.namespace}, queue ${options.taskQueue}; jobs of ${jobFolder()}`,
  );
  const stop = () => {
    note('Stopping: no new work; partitions under way end, or stop at their last committed batch.');
    void worker.stop();
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  await worker.ended;
  await client.connection.close();
}

function address(option: 'metrics' | 'health', given: string | undefined): string | undefined {
  if (!given || /^(\d+(\.\d+){3}|\[[0-9a-fA-F:]+\]):\d+$/.test(given)) return given || undefined;
  throw new LetheError(
    'JobInvalid',
    `--${option} (LETHE_${option.toUpperCase()}) takes an IP address and a port, e.g. 127.0.0.1:9464.`,
  );
}

function hostAndPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

function logFormat(given: string | undefined): 'text' | 'json' {
  if (!given || given === 'text' || given === 'json') return given === 'json' ? 'json' : 'text';
  throw new LetheError('JobInvalid', '--log-format (LETHE_LOG) is text or json.');
}
