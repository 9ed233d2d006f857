import { randomBytes, randomUUID } from 'node:crypto';
import { parseJob } from '../../job/load.js';
import type { Plan, TablePlan } from '../../plan/plan.js';
import { type Epoch, readEpochs, registerTables, takeEpochs } from '../../postgres/fence.js';
import { migrate } from '../../postgres/ledger/migrate.js';
import { loadPartitions } from '../../postgres/load/load.js';
import type { LoadProgress, LoadResult, PartitionTask } from '../../postgres/load/task.js';
import { planJob } from '../../postgres/planning.js';
import { openSession, query, type Session, withTransaction } from '../../postgres/session.js';
import { createDatabase, type PostgresVersion, type TestDatabase } from '../harness/servers.js';

export const RUN_TIME = '2026-03-01T12:00:00.000Z';

export interface SceneOptions {
  readonly version?: PostgresVersion;
  /** A source that is there already. */
  readonly source?: TestDatabase;
  /** A destination that is there already. */
  readonly destinationDb?: TestDatabase;
  /** Default: 32 random bytes. */
  readonly jobKey?: Uint8Array;
  /** Statements for the source, and before them for both. */
  readonly schema: readonly string[];
  readonly rows?: readonly string[];
  /** Statements for the destination alone, after `schema`. */
  readonly destination?: readonly string[];
  /** Statements for the destination after the plan was made. */
  readonly later?: readonly string[];
  /** YAML below `job`, `source`, `destination` and `key`. */
  readonly job?: string;
  readonly mode?: 'replace' | 'upsert';
  readonly destinationSettings?: string;
}

/** A source, a destination, a plan, and a run that has just taken its tables over, under a held snapshot. */
export class Scene {
  private attempt = 0;
  /** The session whose transaction holds the snapshot. */
  private holder: Session | undefined;
  private generation = 0;
  private snapshot = '';

  private constructor(
    readonly sourceDb: TestDatabase,
    readonly destinationDb: TestDatabase,
    readonly source: Session,
    readonly destination: Session,
    readonly plan: Plan,
    readonly run: string,
    readonly jobKey: Uint8Array,
  ) {}

  static async make(options: SceneOptions): Promise<Scene> {
    const [sourceDb, destinationDb] = [
      options.source ?? (await createDatabase(options.version)),
      options.destinationDb ?? (await createDatabase(options.version)),
    ];
    const source = await openSession({
      url: sourceDb.url,
      role: 'source',
      applicationName: 'test',
      readOnly: false,
    });
    const destination = await openSession({
      url: destinationDb.url,
      role: 'destination',
      applicationName: 'test',
    });
    for (const session of [source, destination]) await query(session, 'SET search_path = public');
    await statements(source, [...options.schema, ...(options.rows ?? [])]);
    await statements(destination, [...options.schema, ...(options.destination ?? [])]);
    await migrate(destination);
    const { job, mistakes } = parseJob(jobText(options), 'test.yaml');
    if (!job) throw new Error(JSON.stringify(mistakes));
    const { plan } = await planJob(job, source, destination);
    const refusals = plan.findings.filter(({ level }) => level === 'refusal');
    if (refusals.length > 0) throw new Error(refusals.map(({ message }) => message).join('\n'));
    const scene = new Scene(
      sourceDb,
      destinationDb,
      source,
      destination,
      plan,
      randomUUID(),
      options.jobKey ?? randomBytes(32),
    );
    await statements(destination, options.later ?? []);
    await scene.insertRun(scene.run);
    await scene.takeOver(scene.run);
    await scene.newSnapshot();
    return scene;
  }

  table(name: string): TablePlan {
    const found = this.plan.tables.find(({ source }) => source.name === name);
    if (!found) throw new Error(`no table ${name} in the plan`);
    return found;
  }

  async insertRun(run: string): Promise<void> {
    await query(
      this.destination,
      `INSERT INTO lethe.run (run, job, mode, state, pins, namespace, workflow_id) VALUES ($1, 'test', 'replace', 'loading', '{}', 'default', 'sync:test')`,
      [run],
    );
  }

  /** Makes a run the owner of all tables. */
  async takeOver(run: string): Promise<Epoch[]> {
    const ids = await registerTables(
      this.destination,
      this.plan.tables.map((table) => table.destination),
    );
    return withTransaction(this.destination, () =>
      takeEpochs(this.destination, run, ids, { patienceMs: 500 }),
    );
  }

  /** What `SET TRANSACTION SNAPSHOT` takes. */
  get snapshotId(): string {
    return this.snapshot;
  }

  async newSnapshot(): Promise<void> {
    await this.loseSnapshot();
    const holder = await openSession({ url: this.sourceDb.url, role: 'source', applicationName: 'holder' });
    await query(holder, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [row] = await query(holder, 'SELECT pg_export_snapshot() AS id');
    this.holder = holder;
    this.snapshot = row!.id!;
    this.generation++;
  }

  async loseSnapshot(): Promise<void> {
    await this.holder?.close();
    this.holder = undefined;
  }

  async task(tables: readonly string[], overrides: Partial<PartitionTask> = {}): Promise<PartitionTask> {
    const epochs = await readEpochs(this.destination, this.run);
    const all = this.plan.tables;
    const ids = await registerTables(
      this.destination,
      all.map(({ destination }) => destination),
    );
    const owned = all.map((plan, i) => ({ plan, epoch: epochs.get(ids[i]!)! }));
    return {
      run: this.run,
      attempt: ++this.attempt,
      source: { url: this.sourceDb.url },
      destination: { url: this.destinationDb.url },
      jobKey: this.jobKey,
      consistency: this.plan.consistency,
      mode: this.plan.mode,
      execution: this.plan.execution,
      runTime: RUN_TIME,
      snapshot: { generation: this.generation, ids: [this.snapshot] },
      tables: tables.map((name) => owned.find(({ plan }) => plan.source.name === name)!),
      related: owned,
      work: { kind: 'tables' },
      replicaRole: true,
      staleAfterMs: 1_000,
      ...overrides,
    };
  }

  /** Cuts and loads tables, as an activity for small ones does. */
  async load(
    tables: readonly string[],
    overrides: Partial<PartitionTask> = {},
    report: (progress: LoadProgress) => void = () => {},
    signal = new AbortController().signal,
  ): Promise<LoadResult> {
    return loadPartitions(await this.task(tables, overrides), report, signal);
  }

  /** Rows of a query as arrays of text, from either side. */
  async rows(side: 'source' | 'destination', sql: string): Promise<Record<string, string | null>[]> {
    return query(side === 'source' ? this.source : this.destination, sql);
  }

  /** A table as sorted COPY-like text, for comparison. */
  async content(side: 'source' | 'destination', table: string, columns = '*'): Promise<string[]> {
    const rows = await this.rows(
      side,
      `SELECT t::text AS row FROM (SELECT ${columns} FROM ${table}) AS t ORDER BY t::text COLLATE "C"`,
    );
    return rows.map(({ row }) => row!);
  }

  async end(): Promise<void> {
    await this.loseSnapshot();
    await Promise.all([this.source.close(), this.destination.close()]);
    await Promise.all([this.sourceDb.drop(), this.destinationDb.drop()]);
  }
}

export async function statements(session: Session, list: readonly string[]): Promise<void> {
  for (const text of list) {
    try {
      await session.client.query(text);
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${text}`);
    }
  }
}

function jobText({ job = '', mode = 'replace', destinationSettings = '' }: SceneOptions): string {
  return `job: test
source: { postgres: env:TEST_SOURCE }
destination: { postgres: env:TEST_DESTINATION, mode: ${mode}${destinationSettings && `, ${destinationSettings}`} }
key: env:TEST_KEY
unlisted: keep
${job}`;
}
