import { activityInfo } from '@temporalio/activity';
import { withSealing } from '../../anonymize/sealing.js';
import { LetheError } from '../../errors/errors.js';
import { didYouMean } from '../../job/nearest.js';
import { isOpen } from '../../ledger/states.js';
import type { RunRef } from '../../ledger/types.js';
import { makeCollections } from '../../mongo/collections.js';
import { ownerOf } from '../../mongo/fence.js';
import { findReplay, insertReplay } from '../../mongo/ledger/replays.js';
import { readPins, renamedBy } from '../../mongo/ledger/runs.js';
import { type CollectionSummary, summarize, WAITING } from '../../mongo/ledger/summary.js';
import { target } from '../../mongo/load/context.js';
import { replayDocuments } from '../../mongo/load/replay.js';
import { planDocuments } from '../../mongo/planning.js';
import { tableText } from '../../plan/catalog.js';
import { correctDocumentPlan } from '../../plan/documents/correct.js';
import type { Plan, TablePlan } from '../../plan/plan.js';
import { refusePlan } from '../../plan/refuse.js';
import type { Dependencies } from '../dependencies.js';
import { tableOf } from '../load.js';
import { isAlive } from '../open.js';
import { preparedTable } from '../prepare.js';
import { findInput, withRetentionOf } from '../resolve.js';
import { beating } from '../run.js';
import { retentionOfReplay, sealingOf } from '../sealing.js';
import type { BegunReplay, ReplayedRows, ReplayInput, ReplayPass } from '../types.js';
import { type OpenDocumentRun, withDocumentRun, withDocumentSource } from './run.js';

/**
 * Opens a failed run again, if it may be replayed: its workflow is then the present one, and what it works by is
 * recorded. Called again by the same execution, it returns what was recorded.
 */
export function beginReplay(deps: Dependencies, ref: RunRef, input: ReplayInput): Promise<BegunReplay> {
  return withDocumentRun(
    deps,
    ref,
    async (run) => {
      const { runId, workflowId } = activityInfo().workflowExecution!;
      const { ledger } = run;
      const known = await findReplay(ledger, ref.run, runId);
      if (known !== undefined) {
        const { plan } = await readPins(ledger, ref.run, known);
        return begun(run, plan, known, input, []);
      }
      await refuseState(deps, run, workflowId);
      refuseUnknown(run.pins.plan, ref.run, input);
      const { plan, jobText, warnings } = await planReplay(deps, run, input);
      const n = await insertReplay(ledger, {
        ...{ run: ref.run, namespace: deps.namespace, workflowId, execution: runId },
        ...{ plan, jobText },
      });
      return begun(run, plan, n, input, warnings);
    },
    { ended: true },
  );
}

/** @throws LetheError when the run's state, or its owner, forbids a replay. */
async function refuseState(
  deps: Dependencies,
  { row, ledger, pins }: OpenDocumentRun,
  own: string,
): Promise<void> {
  const { run, state, workflowId } = row;
  if (state === 'complete') {
    throw new LetheError(
      'NothingToReplay',
      `Run ${run} is complete: nothing of it is in quarantine. There is nothing to replay.`,
    );
  }
  if (state === 'cancelled') {
    throw new LetheError(
      'RunEnded',
      `Run ${run} was cancelled, and what it had written was removed. Start a new one: \`lethe sync\`.`,
    );
  }
  for (const { destination } of pins.plan.tables) {
    if (state !== 'superseded' && (await ownerOf(ledger, destination)) === run) continue;
    throw new LetheError(
      'RunSuperseded',
      `Run ${run} was superseded, or never began to load: it does not own ${tableText(destination)}. Replay the newest run of the job (\`lethe runs\`), or start a new one.`,
    );
  }
  if (isOpen(state) && workflowId !== own && (await isAlive(deps, row))) {
    throw new LetheError(
      'DestinationBusy',
      `Run ${run} is still ${state} (workflow ${workflowId}). Wait for its end, or cancel it: \`lethe cancel ${run}\`.`,
      { run },
    );
  }
}

function refuseUnknown(plan: Plan, run: string, { tables = [] }: ReplayInput): void {
  const names = plan.tables.map(({ source }) => tableText(source));
  const unknown = tables.filter((name) => !names.includes(name));
  if (unknown.length === 0) return;
  throw new LetheError(
    'JobInvalid',
    `Run ${run} has no collection ${unknown.map((name) => `${name}${didYouMean(name, names)}`).join(', ')}. Collections are named as in the source: database.collection.`,
  );
}

async function planReplay(deps: Dependencies, run: OpenDocumentRun, input: ReplayInput) {
  const { pins, destination } = run;
  const asPinned = { plan: pins.plan, jobText: pins.jobText, warnings: [] as string[] };
  if (!input.file && !input.job) return asPinned;
  const loaded = await findInput(deps, input);
  const { text } = loaded;
  if (text === pins.jobText) return asPinned;
  const retention = retentionOfReplay(pins, loaded.job);
  const job = await withRetentionOf(deps, loaded, input, retention);
  return withDocumentSource(deps, run, async (source) => {
    const planned = await planDocuments(job, source, destination);
    refusePlan(planned.plan);
    const { plan, changed } = correctDocumentPlan(pins.plan, planned.plan);
    const warnings = changed.map(
      (path) =>
        `${path} is treated as the corrected job says in the documents that are replayed; the others keep what they have until the next sync.`,
    );
    return { plan, jobText: text, warnings };
  });
}

async function begun(
  run: OpenDocumentRun,
  plan: Plan,
  n: number,
  input: ReplayInput,
  warnings: string[],
): Promise<BegunReplay> {
  const { ref, row, ledger } = run;
  const summaries = new Map((await summarize(ledger, ref.run)).map((one) => [one.table, one]));
  const { loaded, again } = await unfinishedOf(run, plan, summaries);
  const wanted = input.tables && new Set(input.tables);
  const counts = new Map<number, number>();
  for (const table of plan.tables) {
    const { quarantined = 0 } = summaries.get(table.id) ?? {};
    const named = !wanted || wanted.has(tableText(table.source));
    if (quarantined > 0 && named && !again.includes(table.id)) counts.set(table.id, quarantined);
  }
  const batches = input.batches?.map((text) => {
    const [partition, batch] = text.split('/').map(Number) as [number, number];
    return { partition, batch };
  });
  return {
    ref: { ...ref, replay: n },
    mode: row.mode,
    prepared: {
      tables: plan.tables
        .filter(({ id }) => loaded.includes(id) || counts.has(id))
        .map((table) => {
          const prepared = preparedTable(table);
          return loaded.includes(table.id) ? prepared : { ...prepared, rows: counts.get(table.id)! };
        }),
      layers: loaded.length > 0 ? [loaded] : [],
      concurrency: plan.execution.concurrency,
      warnings,
    },
    again,
    tables: plan.tables.map(({ id }) => id),
    order: counts.size > 0 ? [[...counts.keys()]] : [],
    ...(batches && { batches }),
  };
}

/**
 * Collections whose load was cut short go on where it stopped; those that the run wrote and that are not there any more
 * begin again.
 */
async function unfinishedOf(
  { ledger, destination, ref }: OpenDocumentRun,
  plan: Plan,
  summaries: ReadonlyMap<number, CollectionSummary>,
): Promise<{ loaded: number[]; again: number[] }> {
  const renamed = await renamedBy(ledger, ref.run);
  const cut = (await ledger.runs.findOne({ _id: ref.run }))?.cut ?? [];
  const isThere = async (table: TablePlan): Promise<boolean> => {
    const { schema, name } = target(ref.run, plan.mode, table, renamed);
    return (
      (await destination.client.db(schema).listCollections({ name }, { nameOnly: true }).toArray()).length > 0
    );
  };
  const [loaded, again]: [number[], number[]] = [[], []];
  for (const table of plan.tables) {
    const { partitions = 0, partitionsDone = 0, rows = 0 } = summaries.get(table.id) ?? {};
    const gone = rows > 0 && !(await isThere(table));
    if (cut.includes(table.id) && partitionsDone === partitions && !gone) continue;
    loaded.push(table.id);
    if (gone) again.push(table.id);
  }
  return { loaded, again };
}

/** Makes what the replay writes into; of collections that begin `again`, the ledger forgets what it knew. */
export function openReplay(deps: Dependencies, ref: RunRef, { again }: { again: number[] }): Promise<void> {
  return withDocumentRun(deps, ref, async ({ ledger, destination, pins }) => {
    for (const table of again) {
      const of = { run: ref.run, table };
      await Promise.all([
        ledger.partitions.deleteMany(of),
        ledger.batches.deleteMany(of),
        ledger.ids.deleteMany(of),
        ledger.evidence.deleteMany(of),
        ledger.quarantine.deleteMany({ ...of, ...WAITING }),
        ledger.runs.updateOne(
          { _id: ref.run },
          // It must not take anything's place before it is whole and checked again.
          { $pull: { cut: table, renamed: table }, $unset: { placing: 1 } },
        ),
      ]);
    }
    await makeCollections(destination, ref.run, pins.plan);
  });
}

/** Tries the quarantined documents of a collection again. */
export function replayRows(deps: Dependencies, ref: RunRef, pass: ReplayPass): Promise<ReplayedRows> {
  return beating(() =>
    withDocumentRun(deps, ref, (run) =>
      withDocumentSource(deps, run, async (source) => {
        const { pins, destination, ledger, signal } = run;
        const { sealing } = await sealingOf(deps, pins);
        const keys = withSealing(run.keys, sealing);
        const { table, batches } = pass;
        const task = {
          ...{ run: ref.run, replay: ref.replay ?? 0, mode: pins.plan.mode, keys },
          evidence: pins.plan.execution.evidence,
          table: tableOf(pins.plan, table),
          ...(batches && { batches }),
        };
        const { copied, gone, quarantined } = await replayDocuments(
          task,
          source,
          destination,
          ledger,
          signal,
        );
        return { rows: copied, gone, quarantined, waiting: 0 };
      }),
    ),
  );
}
