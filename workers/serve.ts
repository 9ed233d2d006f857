import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { makeTelemetryFilterString, NativeConnection, Runtime } from '@temporalio/worker';
import { connectionFailure, type TemporalSettings } from './connection.js';
import { type HealthOptions, serveHealth } from './health.js';
import { watchKeyStores } from './keyMetrics.js';
import { createLogger, type LogFormat, type LogLevel } from './log.js';
import { watchSchedules } from './scheduleLag.js';
import { createWorker, type LetheWorker, type LetheWorkerOptions } from './worker.js';

export interface ServeOptions
  extends Pick<
    LetheWorkerOptions,
    'jobsFolder' | 'retentionFile' | 'threads' | 'taskQueue' | 'shutdownGraceSeconds'
  > {
  readonly settings: TemporalSettings;
  readonly client: Client;
  /** What Temporal's SDK logs on stderr. Default `WARN`. */
  readonly logLevel?: LogLevel;
  /** Default `text`. */
  readonly logFormat?: LogFormat;
  /** IP address and port on which Prometheus may read metrics under `/metrics`. Default: nowhere. */
  readonly metricsAddress?: string;
  /** Where `/healthz` and `/readyz` are served. Default: nowhere. */
  readonly health?: { readonly host: string; readonly port: number };
}

export interface RunningWorker {
  /** Settles when the worker has ended: after `stop`, or with the error that ended it. */
  readonly ended: Promise<void>;
  healthy(): boolean;
  /** Puts a line into the log. */
  log(message: string): void;
  /** Takes no new work, lets the present end within the grace time, disconnects. */
  stop(): Promise<void>;
}

/**
 * Starts a worker in this process.
 * @throws LetheError `Unreachable` or `AuthenticationFailed` when Temporal cannot be reached.
 */
export async function startWorker(options: ServeOptions): Promise<RunningWorker> {
  const { settings, client } = options;
  installRuntime(options.logLevel ?? 'WARN', options.logFormat ?? 'text', options.metricsAddress);
  const connection = await NativeConnection.connect(settings.connection).catch((error: unknown) => {
    throw connectionFailure(error, settings);
  });
  try {
    const worker = await createWorker({ ...options, connection, client, namespace: settings.namespace });
    const health = options.health && (await serveHealth({ ...options.health, ...healthOf(worker, client) }));
    const watches =
      options.metricsAddress === undefined ? [] : [watchSchedules(client), watchKeyStores(options)];
    const ended = worker.run().finally(() => {
      health?.close();
      for (const watch of watches) watch.stop();
      return connection.close();
    });
    // Whoever waits for `ended` gets the error; until somebody does, it must not end the process.
    ended.catch(() => undefined);
    return {
      ended,
      healthy: () => worker.healthy(),
      log: (message) => Runtime.instance().logger.info(message),
      async stop() {
        worker.stop();
        // A server that is gone would be asked again and again.
        const longest = (options.shutdownGraceSeconds ?? 30) + 40;
        await Promise.race([ended.catch(() => undefined), sleep(longest * 1000, undefined, { ref: false })]);
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Longer than a server that is well takes to answer. Milliseconds. */
const ANSWER_MS = 2_000;

function healthOf(worker: LetheWorker, client: Client): Pick<HealthOptions, 'healthy' | 'reachable'> {
  return {
    healthy: () => worker.healthy(),
    reachable: () =>
      client
        .withDeadline(Date.now() + ANSWER_MS, () => client.workflowService.getSystemInfo({}))
        .then(
          () => true,
          () => false,
        ),
  };
}

/** The SDK's buckets are made for milliseconds. */
const BATCH_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const SECONDS = { lethe_batch_seconds: BATCH_SECONDS, lethe_transform_seconds: BATCH_SECONDS };

let installed = false;

/** The SDK's runtime is one a process and takes its logger and metrics only before it is first used. */
function installRuntime(level: LogLevel, format: LogFormat, metricsAddress: string | undefined): void {
  if (installed) return;
  installed = true;
  const core = level === 'DEBUG' ? 'INFO' : level;
  Runtime.install({
    logger: createLogger(level, format),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core, other: 'ERROR' }) },
      ...(metricsAddress && {
        metrics: { prometheus: { bindAddress: metricsAddress, histogramBucketOverrides: SECONDS } },
      }),
    },
  });
}
