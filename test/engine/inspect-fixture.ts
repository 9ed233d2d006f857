import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { openSession, query } from '../../postgres/session.js';
import { readRunFacts } from '../../postgres/validate.js';
import type { Check } from '../../quality/checks.js';
import type { Inspection } from '../../quality/inspection.js';
import { judge, settingsOf } from '../../quality/run.js';
import { type InspectTask, inspectRun } from '../../quality/task.js';
import { createDatabase, type PostgresVersion } from '../harness/servers.js';
import { emptyAll } from '../whole/acceptance/databases.js';
import { RUN_TIME, Scene, type SceneOptions } from './load-fixture.js';

/** A scene whose tables are all loaded. */
export async function loadedScene(options: SceneOptions): Promise<Scene> {
  const scene = await Scene.make(options);
  await scene.load(scene.plan.tables.map(({ source }) => source.name));
  return scene;
}

/** A job of `examples/` over its database, copied under a key. */
export async function exampleScene(
  example: { job: string },
  path: string,
  version: PostgresVersion,
  jobKey: Uint8Array,
  more: object = {},
): Promise<Scene> {
  const {
    job: _j,
    source: _s,
    destination: _d,
    key: _k,
    unlisted: _u,
    ...rest
  } = parse(await readFile(example.job, 'utf8'));
  const destinationDb = await createDatabase(version, path);
  const session = await openSession({ url: destinationDb.url, role: 'destination', applicationName: 'test' });
  await emptyAll(session);
  await session.close();
  return loadedScene({
    source: await createDatabase(version, path),
    destinationDb,
    schema: [],
    job: stringify({ ...rest, ...more }),
    jobKey,
  });
}

/** Looks at a loaded scene as a run does at its end. */
export async function inspected(
  scene: Scene,
  overrides: Partial<InspectTask> = {},
): Promise<{ inspection: Inspection; checks: Check[] }> {
  const facts = await readRunFacts(scene.destination, scene.run, scene.plan);
  const task: InspectTask = {
    run: scene.run,
    applicationName: 'lethe:test/v/1',
    source: { url: scene.sourceDb.url },
    destination: { url: scene.destinationDb.url },
    jobKey: scene.jobKey,
    plan: scene.plan,
    settings: settingsOf(scene.plan),
    runTime: RUN_TIME,
    snapshots: [scene.snapshotId],
    written: facts.tables.map(({ table, written }) => [table, written]),
    unsteady: [],
    ...overrides,
  };
  const inspection = await inspectRun(task, () => undefined, new AbortController().signal);
  return { inspection, checks: judge(scene.plan, task.settings, facts, inspection) };
}

/** What is not ok: `name: message`. */
export function problems(checks: readonly Check[], names?: readonly string[]): string[] {
  return checks
    .filter(({ ok, name }) => !ok && (names === undefined || names.includes(name)))
    .map(({ name, message }) => `${name}: ${message}`);
}

/** As `replace` does it, without what keeps triggers and keys from firing. */
export async function plant(scene: Scene, ...list: string[]): Promise<void> {
  await query(scene.destination, 'SET session_replication_role = replica');
  for (const text of list) await scene.destination.client.query(text);
  await query(scene.destination, 'RESET session_replication_role');
}
