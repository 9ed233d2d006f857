import { randomUUID } from 'node:crypto';
import { jobKeys } from '../anonymize/keys.js';
import { parseJob } from '../job/load.js';
import type { Plan } from '../plan/plan.js';
import { registerTables, takeEpochs } from '../postgres/fence.js';
import { migrate } from '../postgres/ledger/migrate.js';
import { cutTable } from '../postgres/load/cut.js';
import type { PartitionTask } from '../postgres/load/task.js';
import { planJob } from '../postgres/planning.js';
import { query, withTransaction } from '../postgres/session.js';
import { createPool } from '../workers/pool.js';
import { MemoryWatch } from './memory.js';
import type { Subject } from './rounds.js';
import { JOB, type Scene, withUrl } from './scene.js';

/** The partition engine without workflows: cut, load in threads, indexes in place. */
export async function benchEngine(scene: Scene, threads: number): Promise<Subject> {
  const pool = createPool({ threads });
  const memory = new MemoryWatch(process.pid);
  const plan = await makePlan(scene);
  await withUrl(scene.destination, 'destination', migrate);
  return {
    name: `engine, ${threads} threads`,
    prepare: () => scene.sql(scene.destination, 'TRUNCATE public.customer'),
    peak: () => memory.peak(),
    async run() {
      await load(scene, plan, (task) => pool.load(task, () => {}, new AbortController().signal));
      await withUrl(scene.destination, 'destination', async (session) => {
        const [row] = await query(session, 'SELECT count(*) AS count FROM public.customer');
        if (Number(row?.count) !== scene.rows) throw new Error(`${row?.count} rows arrived`);
      });
    },
    async end() {
      memory.end();
      await pool.close();
    },
  };
}

async function makePlan(scene: Scene): Promise<Plan> {
  const { job, mistakes } = parseJob(JOB, 'bench.yaml');
  if (!job) throw new Error(JSON.stringify(mistakes));
  return withUrl(scene.source, 'source', (source) =>
    withUrl(
      scene.destination,
      'destination',
      async (destination) => (await planJob(job, source, destination)).plan,
    ),
  );
}

async function load(scene: Scene, plan: Plan, run: (task: PartitionTask) => Promise<unknown>): Promise<void> {
  const id = randomUUID();
  const jobKey = Buffer.from(scene.key, 'base64');
  await withUrl(scene.source, 'source', (source) =>
    withUrl(scene.destination, 'destination', async (destination) => {
      await query(
        destination,
        `INSERT INTO lethe.run (run, job, mode, state, pins, namespace, workflow_id) VALUES ($1, 'bench', 'replace', 'loading', '{}', '', '')`,
        [id],
      );
      const ids = await registerTables(
        destination,
        plan.tables.map((table) => table.destination),
      );
      const [epoch] = await withTransaction(destination, () => takeEpochs(destination, id, ids));
      await query(source, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const [snapshot] = await query(source, 'SELECT pg_export_snapshot() AS id');
      const table = { plan: plan.tables[0]!, epoch: epoch! };
      const { batchRows } = plan.execution;
      const { partitions } = await cutTable(
        { run: id, ...table, generation: 1, keys: jobKeys(jobKey), batchRows },
        source,
        destination,
      );
      await Promise.all(
        partitions.map(({ partition }) =>
          run({
            run: id,
            attempt: 1,
            source: { url: scene.source },
            destination: { url: scene.destination },
            jobKey,
            consistency: plan.consistency,
            mode: plan.mode,
            execution: plan.execution,
            runTime: new Date().toISOString(),
            snapshot: { generation: 1, ids: [snapshot!.id!] },
            tables: [table],
            work: { kind: 'partitions', partitions: [partition] },
            replicaRole: true,
            staleAfterMs: 30_000,
          }),
        ),
      );
    }),
  );
}
