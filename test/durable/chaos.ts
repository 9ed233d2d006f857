import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PostgresServer, startPostgres } from '../../embedded/postgres.js';
import { startTemporal, type TemporalServer } from '../../embedded/temporal.js';
import type { SyncHandle } from '../../workers/runs.js';
import { concurrencyUpdate } from '../../workflows/messages.js';
import { CRM_RULES, crmFiles } from './crm.js';
import { ask, type Ends, inside, jobFile, openStage, pause, type Stage } from './fixture.js';
import { WorkerProcess } from './processes.js';

const RULES = CRM_RULES.replace('batchRows: 1000', 'batchRows: 250');
const TUNING = { heartbeatSeconds: 3 };
const WORKERS = 2;

/** Servers, databases and workers of chaos's own, so that it may break all of them. */
export class World {
  readonly workers: WorkerProcess[] = [];
  readonly logs: WorkerProcess[] = [];

  private constructor(
    readonly postgres: PostgresServer,
    private temporal: TemporalServer,
    readonly stage: Stage,
    readonly ends: Ends,
    private readonly folder: string,
  ) {}

  static async open(): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'lethe-chaos-'));
    const [postgres, temporal] = await Promise.all([
      startPostgres({ version: 18 }),
      startTemporal({ dataDir: folder }),
    ]);
    const ends = await openDatabases(postgres);
    const stage = await openStage({ address: temporal.address, worker: false });
    const world = new World(postgres, temporal, stage, ends, folder);
    for (let i = 0; i < WORKERS; i++) world.addWorker();
    await Promise.all(world.workers.map((worker) => worker.ready()));
    return world;
  }

  addWorker(): WorkerProcess {
    const worker = new WorkerProcess(this.stage, this.ends);
    this.workers.push(worker);
    this.logs.push(worker);
    return worker;
  }

  start(): Promise<SyncHandle> {
    return this.stage.start('crm', { file: jobFile(this.ends, RULES), tuning: TUNING });
  }

  async restartTemporal(): Promise<void> {
    const port = Number(this.temporal.address.split(':')[1]);
    await this.temporal.kill();
    this.temporal = await startTemporal({ dataDir: this.folder, port });
  }

  async restartPostgres(): Promise<void> {
    await this.postgres.kill();
    await this.postgres.restart();
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()));
    await this.stage.stop();
    await this.ends.drop();
    await Promise.all([this.temporal.stop(), this.postgres.stop()]);
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function openDatabases(postgres: PostgresServer): Promise<Ends> {
  const { full, schema } = crmFiles();
  const make = async (name: string, file: string) => {
    await ask({ url: postgres.url() }, `CREATE DATABASE ${name}`);
    const url = postgres.url(name);
    const text = await readFile(file, 'utf8');
    await inside({ url }, (session) => session.client.query(text));
    return { url, name, drop: async () => undefined };
  };
  const key = randomBytes(32).toString('base64');
  const source = await make('source', full);
  const destination = await make('destination', schema);
  const env = { CHAOS_SOURCE: source.url, CHAOS_DESTINATION: destination.url, CHAOS_KEY: key };
  Object.assign(process.env, env);
  return {
    source,
    destination,
    key,
    env,
    references: { source: 'env:CHAOS_SOURCE', destination: 'env:CHAOS_DESTINATION', key: 'env:CHAOS_KEY' },
    async drop() {
      for (const name of Object.keys(env)) delete process.env[name];
    },
  };
}

/** Something that goes wrong while a run is under way. */
export interface Disturbance {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  run(world: World, handle: SyncHandle, random: () => number): Promise<void>;
}

const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)]!;

async function terminate(database: { url: string }, condition: string): Promise<void> {
  await ask(
    database,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'lethe:%' AND (${condition})`,
  );
}

export const DISTURBANCES: readonly Disturbance[] = [
  {
    name: 'a worker killed',
    weight: 5,
    async run(world, _handle, random) {
      const victim = pick(world.workers, random);
      world.workers.splice(world.workers.indexOf(victim), 1);
      await victim.kill();
      await world.addWorker().ready();
    },
  },
  {
    name: 'a worker frozen for some seconds',
    weight: 2,
    async run(world, _handle, random) {
      const victim = pick(world.workers, random);
      victim.freeze();
      await pause(2_000 + random() * 5_000);
      victim.thaw();
    },
  },
  {
    name: 'half of the sessions at the destination ended',
    weight: 3,
    run: (world, _handle, random) =>
      terminate(world.ends.destination, `pid % 2 = ${Math.floor(random() * 2)}`),
  },
  {
    name: 'half of the sessions at the source ended',
    weight: 3,
    run: (world, _handle, random) => terminate(world.ends.source, `pid % 2 = ${Math.floor(random() * 2)}`),
  },
  {
    name: 'the snapshot holders ended',
    weight: 2,
    run: (world) => terminate(world.ends.source, `application_name LIKE 'lethe:%/s%'`),
  },
  { name: 'Temporal crashed', weight: 1, run: (world) => world.restartTemporal() },
  { name: 'PostgreSQL crashed', weight: 1, run: (world) => world.restartPostgres() },
  { name: 'the run terminated', weight: 1, run: (_world, handle) => ended(() => handle.terminate('chaos')) },
  { name: 'the run cancelled', weight: 1, run: (_world, handle) => ended(() => handle.cancel()) },
  {
    name: 'paused, and resumed with another concurrency',
    weight: 2,
    async run(_world, handle, random) {
      await ended(async () => {
        await handle.signal('pause');
        await pause(random() * 1_000);
        const partitions = 1 + Math.floor(random() * 6);
        // Refused while the run is still being planned.
        await handle.executeUpdate(concurrencyUpdate, { args: [{ partitions }] }).catch(() => undefined);
        await handle.signal('resume');
      });
    },
  },
];

/** What is asked of a run that has just ended is refused. */
async function ended(body: () => Promise<unknown>): Promise<void> {
  await body().catch((error: unknown) => {
    if ((error as Error).name !== 'WorkflowNotFoundError') throw error;
  });
}

/** One of the disturbances, by their weights. */
export function draw(random: () => number): Disturbance {
  let place = random() * DISTURBANCES.reduce((sum, { weight }) => sum + weight, 0);
  for (const disturbance of DISTURBANCES) {
    place -= disturbance.weight;
    if (place < 0) return disturbance;
  }
  return DISTURBANCES[0]!;
}
