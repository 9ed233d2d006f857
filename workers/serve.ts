import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { DefaultLogger, makeTelemetryFilterString, NativeConnection, Runtime } from '@temporalio/worker';
import { connectionFailure, type TemporalSettings } from './connection.js';
import { createWorker, type LetheWorkerOptions } from './worker.js';

export interface ServeOptions
  extends Pick<LetheWorkerOptions, 'jobsFolder' | 'threads' | 'taskQueue' | 'shutdownGraceSeconds'> {
  readonly settings: TemporalSettings;
  readonly client: Client;
  /** What Temporal's SDK logs on stderr. Default `WARN`. */
  readonly logLevel?: 'ERROR' | 'WARN' | 'INFO' | 'DEBUG';
  /** IP address and port on which Prometheus may read the SDK's metrics under `/metrics`. Default: nowhere. */
  readonly metricsAddress?: string;
}

export interface RunningWorker {
  /** Settles when the worker has ended: after `stop`, or with the error that ended it. */
  readonly ended: Promise<void>;
  healthy(): boolean;
  /** Takes no new work, lets the present end within the grace time, disconnects. */
  stop(): Promise<void>;
}

/**
 * Starts a worker in this process.
 * @throws LetheError `Unreachable` or `AuthenticationFailed` when Temporal cannot be reached.
 */
export async function startWorker(options: ServeOptions): Promise<RunningWorker> {
  const { settings, client } = options;
  installRuntime(options.logLevel ?? 'WARN', options.metricsAddress);
  const connection = await NativeConnection.connect(settings.connection).catch((error: unknown) => {
    throw connectionFailure(error, settings);
  });
  try {
    const worker = await createWorker({ ...options, connection, client, namespace: settings.namespace });
    const ended = worker.run().finally(() => connection.close());
    // Whoever waits for `ended` gets the error; until somebody does, it must not end the process.
    ended.catch(() => undefined);
    return {
      ended,
      healthy: () => worker.healthy(),
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

let installed = false;

/** The SDK's runtime is one a process and takes its logger and metrics only before it is first used. */
function installRuntime(
  level: 'ERROR' | 'WARN' | 'INFO' | 'DEBUG',
  metricsAddress: string | undefined,
): void {
  if (installed) return;
  installed = true;
  const core = level === 'DEBUG' ? 'INFO' : level;
  Runtime.install({
    logger: new DefaultLogger(level),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core, other: 'ERROR' }) },
      ...(metricsAddress && { metrics: { prometheus: { bindAddress: metricsAddress } } }),
    },
  });
}
