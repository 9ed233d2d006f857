import { activityInfo, Context } from '@temporalio/activity';
import { jobKeys, parseJobKey } from '../anonymize/keys.js';
import type { Job } from '../job/types.js';
import type { Pins, RunRef } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import { refusePlan } from '../plan/refuse.js';
import { openForWriting } from '../postgres/claim.js';
import { ledgerVersion, migrate } from '../postgres/ledger/migrate.js';
import { findRun, insertRun, readPins } from '../postgres/ledger/runs.js';
import { planJob } from '../postgres/planning.js';
import { requireReadable } from '../postgres/readable.js';
import { copySchema } from '../postgres/schemaCopy.js';
import { type Session, withSession } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { knownSources } from './knownSources.js';
import { findInput, withRetentionOf } from './resolve.js';
import { activityFailure, endFormerSessions, sessionName } from './run.js';
import type { PreparedRun, PreparedTable, SyncJobInput } from './types.js';

/** Below this many bytes a table's copy costs less than an activity's round trip. */
const SMALL_BYTES = 4 * 1024 * 1024;

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
    const { workflowExecution } = activityInfo();
    const session = (role: 'source' | 'destination', url: string) =>
      ({
        url,
        role,
        applicationName: sessionName(ref.run, 'p'),
        encoding: job.source.encoding,
        signal: Context.current().cancellationSignal,
      }) as const;

    return await withSession(session('destination', destinationUrl!), async (destination) =>
      withSession(session('source', sourceUrl!), async (source) => {
        await Promise.all([source, destination].map(endFormerSessions));
        if (await isRecorded(destination, ref.run)) return prepared(await readPins(destination, ref.run));
        const plan = await planAndOpen(
          deps,
          job,
          {
            source,
            destination,
            sourceUrl: sourceUrl!,
            destinationUrl: destinationUrl!,
          },
          input.acceptDomains,
        );
        const pins: Pins = {
          keyCheck: keys.check,
          plan,
          jobText: text,
          runTime: new Date().toISOString(),
          source: { url: job.source.url, encoding: job.source.encoding },
          snapshot: job.source.snapshot,
          ...(job.retention?.read && { retention: pinnedRetention(job.retention.read) }),
        };
        await insertRun(destination, {
          run: ref.run,
          job: ref.job,
          mode: plan.mode,
          pins,
          namespace: deps.namespace,
          workflowId: workflowExecution!.workflowId,
        });
        return prepared(pins);
      }),
    );
  } catch (error) {
    throw activityFailure(error);
  }
}

/** What a run keeps of the retention file that it seals by. */
export function pinnedRetention({ name, text, hash }: NonNullable<Pins['retention']>): Pins['retention'] {
  return { name, text, hash };
}

interface Ends {
  readonly source: Session;
  readonly destination: Session;
  readonly sourceUrl: string;
  readonly destinationUrl: string;
}

/** The plan, refused or let through before anything is written; then the destination's claim, schema and ledger. */
async function planAndOpen(
  deps: Dependencies,
  job: Job,
  ends: Ends,
  acceptDomains: boolean | undefined,
): Promise<Plan> {
  const { source, destination } = ends;
  const { plan } = await planJob(job, source, destination, acceptDomains);
  refusePlan(plan);
  await requireReadable(source, plan);
  const tables = plan.tables.map((table) => table.destination);
  await openForWriting(source, destination, { job: job.job, tables, sources: await knownSources(deps) });
  await migrate(destination);
  if (!job.destination.createSchema) return plan;
  const copy = await copySchema({
    sourceUrl: ends.sourceUrl,
    destinationUrl: ends.destinationUrl,
    tables: plan.tables.map((table) => table.source),
    renames: job.destination.schemas,
    applicationName: destination.applicationName,
    signal: Context.current().cancellationSignal,
  });
  if (!copy.created) return plan;
  const { plan: real } = await planJob(job, source, destination, acceptDomains);
  refusePlan(real);
  return { ...real, findings: [...real.findings, ...copy.findings] };
}

async function isRecorded(destination: Session, run: string): Promise<boolean> {
  return (await ledgerVersion(destination)) > 0 && (await findRun(destination, run)) !== undefined;
}

function prepared({ plan }: Pins): PreparedRun {
  return {
    tables: plan.tables.map(preparedTable),
    layers: loadingLayers(plan),
    concurrency: plan.execution.concurrency,
    warnings: plan.findings.filter(({ level }) => level === 'warning').map(({ message }) => message),
    ...waitOf(plan),
  };
}

/** How long a run stays open for a replay. */
export function waitOf({ execution: { onFailure } }: Plan): Pick<PreparedRun, 'waitSeconds'> {
  const seconds = onFailure.kind === 'quarantine' ? onFailure.waitSeconds : undefined;
  return seconds === undefined ? {} : { waitSeconds: seconds };
}

export function preparedTable(table: TablePlan): PreparedTable {
  return {
    id: table.id,
    name: tableText(table.source),
    rows: Math.max(0, Math.round(table.rows)),
    small: isSmall(table),
  };
}

/** Layers in which tables are loaded: `replace` takes foreign keys away, so it needs no order. */
export function loadingLayers(plan: Plan, wanted: (table: number) => boolean = () => true): number[][] {
  const layers = plan.mode === 'replace' ? [plan.tables.map(({ id }) => id)] : plan.order;
  return layers.map((layer) => layer.filter(wanted)).filter(({ length }) => length > 0);
}

function isSmall(table: TablePlan): boolean {
  return table.bytes < SMALL_BYTES;
}
