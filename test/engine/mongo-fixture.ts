import { randomBytes } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { jobKeys } from '../../anonymize/keys.js';
import { parseJob } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import type { Pins } from '../../ledger/types.js';
import { openForWriting } from '../../mongo/claim.js';
import { makeCollections, makeOtherIndexes, putInPlace } from '../../mongo/collections.js';
import { type Connection, withConnection } from '../../mongo/connection.js';
import { ownerOf, takeOver } from '../../mongo/fence.js';
import { advanceRun, insertRun, readPins } from '../../mongo/ledger/runs.js';
import { ledgerOf } from '../../mongo/ledger/store.js';
import { loadDocuments } from '../../mongo/load/load.js';
import type { DocumentsTask } from '../../mongo/load/task.js';
import { planDocuments } from '../../mongo/planning.js';
import type { Plan } from '../../plan/plan.js';
import { refusePlan } from '../../plan/refuse.js';
import { checkDocuments } from '../../quality/checkDocuments.js';
import type { Check } from '../../quality/checks.js';

/** A fixed key, so that no test depends on chance. */
export const KEY = Buffer.alloc(32, 7);

/** A job from what stands below its connections. */
export function mongoJob(text: string): Job {
  const head = 'job: shop-copy\nkey: env:KEY\n';
  const { job, mistakes } = parseJob(head + text, 'job.yaml');
  if (!job) throw new Error(mistakes.map(({ message }) => message).join('\n'));
  return job;
}

export interface Ends {
  readonly sourceUrl: string;
  readonly destinationUrl: string;
}

/** Both connections for the length of `body`. */
export function withEnds<T>(
  { sourceUrl, destinationUrl }: Ends,
  body: (source: Connection, destination: Connection) => Promise<T>,
): Promise<T> {
  const name = { applicationName: 'lethe:test' };
  return withConnection({ ...name, url: sourceUrl, role: 'source' }, (source) =>
    withConnection({ ...name, url: destinationUrl, role: 'destination' }, (destination) =>
      body(source, destination),
    ),
  );
}

/** A run up to where its documents are to be loaded. */
export interface StartedRun {
  readonly run: string;
  readonly plan: Plan;
  readonly task: DocumentsTask;
}

export async function startRun(job: Job, ends: Ends, run = uuidv7()): Promise<StartedRun> {
  return withEnds(ends, async (source, destination) => {
    const { plan } = await planDocuments(job, source, destination);
    refusePlan(plan);
    await openForWriting(source, destination, {
      job: job.job,
      collections: plan.tables.map((table) => table.destination),
      sourceDatabases: plan.tables.map((table) => table.source.schema),
    });
    const ledger = ledgerOf(destination);
    const keys = jobKeys(KEY, job.consistency === 'run' ? run : undefined);
    const pins: Pins = {
      ...{ keyCheck: keys.check, plan, jobText: '', runTime: new Date(0).toISOString() },
      ...{ source: { url: job.source.url }, snapshot: job.source.snapshot },
    };
    await insertRun(ledger, {
      run,
      job: job.job,
      mode: plan.mode,
      pins,
      namespace: 'default',
      workflowId: 'test',
    });
    for (const table of plan.tables) {
      await takeOver(ledger, table.destination, await ownerOf(ledger, table.destination), run);
    }
    await makeCollections(destination, run, plan);
    await advanceRun(ledger, run, 'loading');
    const task: DocumentsTask = {
      run,
      applicationName: 'lethe:test',
      source: { url: ends.sourceUrl },
      destination: { url: ends.destinationUrl },
      jobKey: new Uint8Array(KEY),
      ...{ consistency: plan.consistency, mode: plan.mode, execution: plan.execution },
      documents: plan.documents!,
      tables: plan.tables,
      work: { kind: 'tables' },
    };
    return { run, plan, task };
  });
}

export interface EndedRun extends StartedRun {
  readonly checks: readonly Check[];
  readonly rows: number;
  readonly quarantined: number;
}

/** A whole run, as the activities do it one after the other. */
export async function runJob(job: Job, ends: Ends, run?: string): Promise<EndedRun> {
  const started = await startRun(job, ends, run);
  const result = await loadDocuments(started.task, () => undefined, new AbortController().signal);
  return { ...started, ...result, checks: await endRun(job, ends, started) };
}

/** Indexes, checks, and the rename. */
export function endRun(job: Job, ends: Ends, { run, plan }: StartedRun): Promise<Check[]> {
  return withEnds(ends, async (source, destination) => {
    for (const table of plan.tables) await makeOtherIndexes(destination, run, plan.mode, table);
    const checks = await check(job, run, 'run', source, destination);
    await putInPlace(destination, ledgerOf(destination), run, plan);
    return checks;
  });
}

/** What `lethe validate` does. */
export function checkAgain(job: Job, ends: Ends, { run }: Pick<StartedRun, 'run'>): Promise<Check[]> {
  return withEnds(ends, (source, destination) => check(job, run, 'validate', source, destination));
}

async function check(
  job: Job,
  run: string,
  origin: 'run' | 'validate',
  source: Connection,
  destination: Connection,
): Promise<Check[]> {
  const keys = jobKeys(KEY, job.consistency === 'run' ? run : undefined);
  const pins = await readPins(ledgerOf(destination), run);
  const request = { row: { run, job: job.job }, pins, keys, settings: job.checks, origin };
  return checkDocuments(request, source, destination);
}

/** A name that no other test has. */
export function unique(prefix: string): string {
  return `${prefix}_${randomBytes(4).toString('hex')}`;
}
