import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ScheduleOverlapPolicy, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { KeyStoreRef } from '../../activities/keyTypes.js';
import { resolveReference } from '../../job/references.js';
import { parseRetention } from '../../job/retention/load.js';
import type { RetentionFile } from '../../job/retention/types.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { applyKeySchedules, keyScheduleId } from '../../workers/keySchedules.js';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { type Stage, until } from './fixture.js';

/** A key store behind references of its own, and the folder in which workers find its retention file. */
export interface Keys {
  /** Its name, which no other test uses. */
  readonly name: string;
  readonly database: TestDatabase;
  readonly folder: string;
  readonly masters: string;
  readonly retention: RetentionFile;
  readonly ref: KeyStoreRef;
  readonly store: KeyStore;
  /** The variables behind the references, for worker processes. */
  readonly env: Readonly<Record<string, string>>;
  drop(): Promise<void>;
}

export interface KeysOptions {
  /** Where the simulated time begins, milliseconds since 1970. Default: a store of real time. */
  readonly start?: number;
  /** Days that policy `ip` can be read. Default 3; of policy `us` it is 30. */
  readonly window?: number;
}

export async function openKeys({ start, window = 3 }: KeysOptions = {}): Promise<Keys> {
  const id = randomBytes(6).toString('hex');
  const name = `k${id}`;
  const folder = await mkdtemp(join(tmpdir(), 'lethe-keys-'));
  const database = await createDatabase();
  const env = { [`KEYS_${id}`]: database.url, [`SIGNING_${id}`]: randomBytes(32).toString('base64') };
  Object.assign(process.env, env);
  const text = `retention:
  stores:
    ${name}:
      postgres: env:KEYS_${id}
      copy: ${join(folder, 'copy')}
      masters: { file: ${join(folder, 'masters')} }
      signing: env:SIGNING_${id}
      simulated: ${start !== undefined}
  policies:
    - { id: ip, window: ${window} }
    - { id: us, window: 30 }
`;
  const file = join(folder, 'retention.yaml');
  await writeFile(file, text);
  const { retention, mistakes } = parseRetention(text, file);
  if (!retention) throw new Error(JSON.stringify(mistakes));
  return {
    name,
    database,
    folder,
    masters: join(folder, 'masters'),
    retention,
    ref: { keyStore: name, file: { name: file, text } },
    store: await openKeyStore(retention, name, resolveReference, {
      create: true,
      ...(start !== undefined && { start }),
    }),
    env,
    async drop() {
      for (const variable of Object.keys(env)) delete process.env[variable];
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The master keys that there are now, each as hexadecimal text. */
export async function masterBytes({ masters }: Keys): Promise<string[]> {
  const names = (await readdir(masters)).filter((file) => file.endsWith('.key'));
  const texts = await Promise.all(names.map((file) => readFile(join(masters, file), 'utf8')));
  return texts.map((text) => Buffer.from(text, 'base64').toString('hex'));
}

export type KeyWorkflow = 'generateDayKeys' | 'destroyDayKeys';

/** Starts a workflow as a person at the UI does. */
export function startByHand(
  { client, taskQueue }: Stage,
  workflow: KeyWorkflow,
  ...args: unknown[]
): Promise<WorkflowHandle> {
  const workflowId = `${workflow}-${randomBytes(6).toString('hex')}`;
  return client.workflow.start(workflow, { taskQueue, workflowId, args });
}

/** Not before 2028. */
const SELDOM = { generate: '0 0 29 2 *', destroy: '0 0 29 2 *' };

/**
 * Makes the schedules, as `lethe retention apply` does, and pauses them before they can start anything by themselves: tests
 * start what is due by backfilling.
 */
export async function scheduled(stage: Stage, keys: Keys, tuning = {}): Promise<void> {
  const { client, taskQueue } = stage;
  const seldom = { ...keys.retention, schedules: SELDOM };
  for (const { id } of await applyKeySchedules(client, seldom, keys.ref, taskQueue))
    await client.schedule.getHandle(id).pause();
  for (const { id } of await applyKeySchedules(client, keys.retention, keys.ref, taskQueue)) {
    await client.schedule.getHandle(id).update((previous) => ({
      ...previous,
      action: { ...previous.action, args: [{ ...keys.ref, tuning }] },
    }));
  }
}

/** Lets a schedule do what it would have done at a time, and returns the workflow once it is there. */
export async function backfilled(
  { client }: Stage,
  { name }: Keys,
  workflow: KeyWorkflow,
  time: number,
): Promise<WorkflowHandle> {
  const id = keyScheduleId(workflow, name);
  await client.schedule.getHandle(id).backfill({
    start: new Date(time - 1_000),
    end: new Date(time + 1_000),
    overlap: ScheduleOverlapPolicy.BUFFER_ALL,
  });
  const at = new Date(time).toISOString().replace('.000Z', 'Z');
  const handle = client.workflow.getHandle(`${id}:scheduled-${at}`);
  const there = () =>
    handle.describe().then(
      () => true,
      () => false,
    );
  await until(`${workflow} for ${at} is there`, there, 300_000);
  return handle;
}

/** Type and message of what a workflow failed with. */
export async function keyFailure(handle: WorkflowHandle): Promise<{ type: string; message: string }> {
  try {
    return { type: 'none', message: JSON.stringify(await handle.result()) };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof ApplicationFailure) return { type: cause.type ?? '', message: cause.message };
    throw error;
  }
}
