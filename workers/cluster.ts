import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { startTemporal, type TemporalServer } from '../embedded/temporal.js';
import { LetheError } from '../errors/errors.js';
import { connectClient, type TemporalSettings, temporalSettings } from './connection.js';

/** Temporal as a command uses it: the cluster of the environment, or a server of our own. */
export interface Cluster {
  readonly client: Client;
  readonly settings: TemporalSettings;
  /** A development server whose life is ours: it ends with the last command that uses it. */
  readonly embedded: boolean;
  /** Where its web UI is, if that is known. */
  readonly uiUrl?: string;
  /** Of an embedded server: another command started it and goes on after this one. */
  readonly shared: boolean;
  /** Disconnects; ends an embedded server that is ours, once no other command uses it. */
  close(): Promise<void>;
}

export interface ClusterOptions {
  /** Folder of an embedded server's state, kept between commands. Default `.lethe`. */
  readonly folder?: string;
  /** Ports of an embedded server; default free ones. */
  readonly port?: number;
  readonly uiPort?: number;
  /** What is asked for must outlive this command: a server is not started for it. Default false. */
  readonly lasting?: boolean;
  /** A sentence about what else can be done where that is refused. */
  readonly otherwise?: string;
  /** Gets a line when something takes a while: a download, another command to wait for. */
  readonly tell: (line: string) => void;
}

/** What `temporal.json` in the folder says about the server that runs on it. */
interface Registered {
  readonly address: string;
  readonly uiUrl: string;
  readonly namespace: string;
  readonly serverPid: number;
  readonly ownerPid: number;
}

/**
 * Connects to the cluster that the environment names (`temporalSettings`); without one, to an embedded server: the one
 * that another command runs on the same folder, else a new one.
 */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const settings = await temporalSettings();
  if (settings) {
    const client = await connectClient(settings);
    const uiUrl = process.env.TEMPORAL_UI_URL;
    return {
      client,
      settings,
      embedded: false,
      shared: false,
      ...(uiUrl && { uiUrl }),
      close: () => client.connection.close(),
    };
  }
  return openEmbedded(resolve(options.folder ?? '.lethe'), options);
}

async function openEmbedded(folder: string, options: ClusterOptions): Promise<Cluster> {
  await mkdir(join(folder, 'users'), { recursive: true });
  const me = join(folder, 'users', String(process.pid));
  await writeFile(me, '');
  try {
    return await withStartLock(folder, async () => {
      const running = await findRunning(folder);
      if (running) return await share(me, running);
      if (options.lasting) throw noLastingServer(options.otherwise);
      const server = await startTemporal({
        dataDir: join(folder, 'temporal'),
        port: options.port,
        uiPort: options.uiPort,
        tell: options.tell,
      });
      return await own(folder, me, server, options.tell);
    });
  } catch (error) {
    await rm(me, { force: true });
    throw error;
  }
}

function noLastingServer(otherwise = ''): LetheError {
  return new LetheError(
    'JobInvalid',
    `A schedule or a detached run needs a Temporal server that outlives this command: set TEMPORAL_ADDRESS, or start \`lethe dev\` in another terminal. ${otherwise}`.trim(),
  );
}

async function own(
  folder: string,
  me: string,
  server: TemporalServer,
  tell: (line: string) => void,
): Promise<Cluster> {
  const { address, uiUrl, namespace, pid } = server;
  await register(folder, { address, uiUrl, namespace, serverPid: pid, ownerPid: process.pid });
  const { client, settings } = await connect(address, namespace);
  return {
    client,
    settings,
    embedded: true,
    shared: false,
    uiUrl,
    async close() {
      await rm(me, { force: true });
      await untilUnused(folder, tell);
      await client.connection.close();
      await rm(join(folder, 'temporal.json'), { force: true });
      await server.stop();
    },
  };
}

/** Another command's server: it stays when we go. */
async function share(me: string, running: Registered): Promise<Cluster> {
  const { client, settings } = await connect(running.address, running.namespace);
  return {
    client,
    settings,
    embedded: true,
    shared: true,
    uiUrl: running.uiUrl,
    async close() {
      await rm(me, { force: true });
      await client.connection.close();
    },
  };
}

async function connect(address: string, namespace: string) {
  const settings: TemporalSettings = { namespace, connection: { address, tls: false } };
  return { settings, client: await connectClient(settings) };
}

async function findRunning(folder: string): Promise<Registered | undefined> {
  const text = await readFile(join(folder, 'temporal.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const registered = JSON.parse(text) as Registered;
  if (!isAlive(registered.ownerPid)) {
    // It ends with its owner, but may not have let go of the state yet.
    for (let waited = 0; isAlive(registered.serverPid) && waited < 10_000; waited += 100) await sleep(100);
    return undefined;
  }
  try {
    const { client } = await connect(registered.address, registered.namespace);
    await client.connection.close();
    return registered;
  } catch {
    return undefined;
  }
}

async function register(folder: string, registered: Registered): Promise<void> {
  await writeFile(join(folder, 'temporal.json'), `${JSON.stringify(registered, null, 2)}\n`);
}

/** Two servers on one state would corrupt it: looking for one and starting one is one step. */
async function withStartLock<T>(folder: string, body: () => Promise<T>): Promise<T> {
  const lock = join(folder, 'starting');
  for (;;) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = Number(await readFile(lock, 'utf8').catch(() => '0'));
      if (owner > 0 && !isAlive(owner)) await rm(lock, { force: true });
      else await sleep(100);
    }
  }
  try {
    return await body();
  } finally {
    await rm(lock, { force: true });
  }
}

async function untilUnused(folder: string, tell: (line: string) => void): Promise<void> {
  let told = false;
  for (;;) {
    const pids = (await readdir(join(folder, 'users'))).map(Number);
    const others = pids.filter((pid) => pid !== process.pid && isAlive(pid));
    for (const pid of pids) if (!isAlive(pid)) await rm(join(folder, 'users', String(pid)), { force: true });
    if (others.length === 0) return;
    if (!told)
      tell(
        `Another command (process ${others.join(', ')}) still uses the Temporal server of this one; it ends with it.`,
      );
    told = true;
    await sleep(300);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
