import { createServer, type Server } from 'node:http';
import { LetheError } from '../errors/errors.js';

export interface HealthOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Both queues are polled. */
  healthy(): boolean;
  /** Temporal answers. */
  reachable(): Promise<boolean>;
}

/**
 * Serves `/healthz` (the process answers: 200) and `/readyz` (it polls, and Temporal answers: 200, else 503) for
 * orchestrators. Nothing else, and nothing about jobs.
 *
 * @throws LetheError `JobInvalid` when the address is taken or not here.
 */
export async function serveHealth(options: HealthOptions): Promise<{ port: number; close(): void }> {
  const server = createServer((request, response) => {
    void answer(request.url ?? '', options).then(([status, text]) => {
      response.writeHead(status, {
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.end(`${text}\n`);
    });
  });
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(url: string, { healthy, reachable }: HealthOptions): Promise<[number, string]> {
  if (url === '/healthz') return [200, 'ok'];
  if (url !== '/readyz') return [404, 'not found: /healthz, /readyz'];
  if (!healthy()) return [503, 'not polling'];
  return (await reachable()) ? [200, 'ready'] : [503, 'Temporal does not answer'];
}

function listen(server: Server, { host, port }: HealthOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const message = `The health endpoint cannot listen on ${host}:${port} (${error.code}). Give --health (LETHE_HEALTH) an address of this host that is free.`;
      reject(new LetheError('JobInvalid', message));
    });
    server.listen(port, host, () => resolve());
  });
}
