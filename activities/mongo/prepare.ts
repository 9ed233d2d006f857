import { activityInfo, Context } from '@temporalio/activity';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { listJobs } from '../../job/folder.js';
import { parseJob } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import type { Pins, RunRef } from '../../ledger/types.js';
import { databasesOf } from '../../mongo/catalog.js';
import { deploymentsOf, openForWriting, type SourceOf } from '../../mongo/claim.js';
import { type Connection, withConnection } from '../../mongo/connection.js';
import { findRun, insertRun, readPins } from '../../mongo/ledger/runs.js';
import { ledgerOf } from '../../mongo/ledger/store.js';
import { planDocuments } from '../../mongo/planning.js';
import { refusePlan } from '../../plan/refuse.js';
import type { Dependencies } from '../dependencies.js';
import { pinnedRetention, preparedTable, waitOf } from '../prepare.js';
import { findInput, withRetentionOf } from '../resolve.js';
import { activityFailure, sessionName } from '../run.js';
import type { PreparedRun, SyncJobInput } from '../types.js';

/**
 * Plans the run and records it with everything it pins. Called again for the same run, it returns what was recorded:
 * from then on the job file may change without effect.
 */
export async function prepareRun(deps: Dependencies, ref: RunRef, input: SyncJobInput): Promise<PreparedRun> {
  try {
    const loaded = await findInput(deps, input);
    const { text } = loaded;
    const job = await withRetentionOf(deps, loaded, input);
    const [sourceUrl, destinationUrl, keyText] = await Promise.all(
      [job.source.url, job.destination.url, job.key].map((reference) => deps.resolve(reference)),
    );
    const keys = jobKeys(parseJobKey(keyText!), job.consistency === 'run' ? ref.run : undefined);
    const common = {
      applicationName: sessionName(ref.run, 'p'),
      signal: Context.current().cancellationSignal,
    };
    return await withConnection({ ...common, url: destinationUrl!, role: 'destination' }, (destination) =>
      withConnection({ ...common, url: sourceUrl!, role: 'source' }, async (source) => {
        const ledger = ledgerOf(destination);
        if (await findRun(ledger, ref.run)) return prepared(await readPins(ledger, ref.run));
        const { plan } = await planDocuments(job, source, destination);
        refusePlan(plan);
        await openForWriting(source, destination, {
          job: job.job,
          collections: plan.tables.map((table) => table.destination),
          sourceDatabases: [...new Set(plan.tables.map((table) => table.source.schema))],
          sources: await sourcesHere(deps, job, destination),
        });
        const pins: Pins = {
          keyCheck: keys.check,
          plan,
          jobText: text,
          runTime: new Date().toISOString(),
          source: { url: job.source.url },
          snapshot: job.source.snapshot,
          ...(job.retention?.read && { retention: pinnedRetention(job.retention.read) }),
        };
        await insertRun(ledger, {
          ...{ run: ref.run, job: ref.job, mode: plan.mode, pins },
          namespace: deps.namespace,
          workflowId: activityInfo().workflowExecution!.workflowId,
        });
        return prepared(pins);
      }),
    );
  } catch (error) {
    throw activityFailure(error);
  }
}

function prepared({ plan }: Pins): PreparedRun {
  return {
    tables: plan.tables.map(preparedTable),
    layers: [plan.tables.map(({ id }) => id)],
    concurrency: plan.execution.concurrency,
    warnings: plan.findings.filter(({ level }) => level === 'warning').map(({ message }) => message),
    ...waitOf(plan),
  };
}

/**
 * The databases that jobs of the worker's folder read from on the destination's deployment. A job with mistakes, or
 * whose source cannot be reached from here, is passed over: it cannot be run from here either.
 */
async function sourcesHere(deps: Dependencies, own: Job, destination: Connection): Promise<SourceOf[]> {
  if (!deps.jobsFolder) return [];
  const found: SourceOf[] = [];
  for (const { file, text } of await listJobs(deps.jobsFolder)) {
    const { job } = parseJob(text, file);
    if (job?.engine !== 'mongo' || job.job === own.job) continue;
    try {
      const url = await deps.resolve(job.source.url);
      const options = { url, role: 'source', applicationName: 'lethe:known', timeoutMs: 3_000 } as const;
      await withConnection(options, async (source) => {
        const deployments = await deploymentsOf(source, destination);
        if (deployments === 'two') return;
        found.push({ job: job.job, databases: await databasesOf(source), deployments });
      });
    } catch {
      // It cannot be asked.
    }
  }
  return found;
}
