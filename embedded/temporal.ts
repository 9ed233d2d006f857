import { mkdtempSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { LetheError } from '../errors/errors.js';
import { freePort, type ServerProcess, startProcess, untilReady } from './process.js';
import { findTemporal } from './temporal-binary.js';

/** Search attributes that Lethe's workflows set; a cluster of one's own needs them too. */
export const SEARCH_ATTRIBUTES = {
  LetheJob: 'Keyword',
  LetheRun: 'Keyword',
  LetheMode: 'Keyword',
  LetheKeyStore: 'Keyword',
} as const;

export interface TemporalOptions {
  /**
   * Folder of the server's state and log, kept. Default: the state is in memory, which takes a fraction of the time, and
   * the log in a temporary folder, removed by `stop`.
   */
  readonly dataDir?: string;
  /** Port of the gRPC service on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Port of the web UI on 127.0.0.1. Default: a free one. */
  readonly uiPort?: number;
  /** File for the server's output. Default: `temporal.log` in `dataDir`. */
  readonly log?: string;
  /** Gets one line before the program is downloaded. Default: silent. */
  readonly tell?: (line: string) => void;
}

export interface TemporalServer {
  /** `127.0.0.1:7233` */
  readonly address: string;
  /** `http://127.0.0.1:8233` */
  readonly uiUrl: string;
  readonly namespace: string;
  readonly pid: number;
  readonly dataDir: string;
  /** Ends it. A later start with the same `dataDir` goes on where it was; a temporary one is removed. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>;
}

/**
 * Starts a Temporal development server with its UI and Lethe's search attributes.
 *
 * @returns once namespace and search attributes are there.
 * @throws LetheError `ToolMissing` without a `temporal` program; `Unreachable` when it does not come up in 60 s.
 */
export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const program = await findTemporal(options.tell);
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'lethe-temporal-'));
  await mkdir(dataDir, { recursive: true });
  const port = options.port ?? (await freePort());
  const uiPort = options.uiPort ?? (await freePort());
  const address = `127.0.0.1:${port}`;
  const log = options.log ?? join(dataDir, 'temporal.log');
  const server = startProcess(program, serverArguments(port, uiPort, options.dataDir), {
    log,
    orphanSignal: 'TERM',
  });
  try {
    await untilReady(server, 60_000, () => probe(address));
  } catch (error) {
    await server.end('SIGKILL', 0);
    const reason = error instanceof Error ? error.message : String(error);
    throw new LetheError(
      'Unreachable',
      `The Temporal server on ${address} did not come up (${log}): ${reason}`,
    );
  }
  return {
    address,
    uiUrl: `http://127.0.0.1:${uiPort}`,
    namespace: 'default',
    pid: server.pid,
    dataDir,
    stop: () => stop(server, options.dataDir ? undefined : dataDir),
    kill: () => server.end('SIGKILL', 0),
  };
}

function serverArguments(port: number, uiPort: number, stateIn: string | undefined): string[] {
  const attributes = Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => `${name}=${type}`);
  return [
    ...['server', 'start-dev', '--headless=false', '--ip', '127.0.0.1', '--log-level', 'warn'],
    ...['--port', String(port), '--ui-port', String(uiPort)],
    ...(stateIn === undefined ? [] : ['--db-filename', join(stateIn, 'temporal.db')]),
    // Timers come up to so much late; the default is a second, which short back-offs would last.
    ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="20ms"'],
    ...attributes.flatMap((attribute) => ['--search-attribute', attribute]),
  ];
}

/** The gRPC port answers before the search attributes are registered, and a workflow that sets them would fail. */
async function probe(address: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace: 'default',
    });
    const missing = Object.keys(SEARCH_ATTRIBUTES).filter((name) => !(name in (customAttributes ?? {})));
    if (missing.length > 0) throw new Error(`search attributes ${missing.join(', ')} are not registered yet`);
  } finally {
    await connection.close();
  }
}

async function stop(server: ServerProcess, temporary: string | undefined): Promise<void> {
  await server.end(temporary ? 'SIGKILL' : 'SIGTERM', 10_000);
  if (temporary) await rm(temporary, { recursive: true, force: true });
}
