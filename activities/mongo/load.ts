import { heartbeat } from '@temporalio/activity';
import { parseJobKey } from '../../anonymize/keys.js';
import { LetheError } from '../../errors/errors.js';
import type { RunRef } from '../../ledger/types.js';
import { makeOtherIndexes } from '../../mongo/collections.js';
import { advanceRun } from '../../mongo/ledger/runs.js';
import { summarize } from '../../mongo/ledger/summary.js';
import { cutCollection } from '../../mongo/load/cut.js';
import type { DocumentsProgress, DocumentsTask } from '../../mongo/load/task.js';
import type { Dependencies } from '../dependencies.js';
import { tableOf } from '../load.js';
import { batchMetrics } from '../metrics.js';
import { beating, sessionName } from '../run.js';
import { sealingOf } from '../sealing.js';
import type { PartitionResult, TableResult } from '../types.js';
import { type OpenDocumentRun, withDocumentRun, withDocumentSource } from './run.js';

/** Cuts a collection into partitions, once; the ids of those that are not done. */
export function cutTable(deps: Dependencies, ref: RunRef, table: number): Promise<number[]> {
  return beating(() =>
    withDocumentRun(deps, ref, (run) =>
      withDocumentSource(deps, run, async (source) => {
        const { plan } = run.pins;
        const task = { run: ref.run, table: tableOf(plan, table), keys: run.keys, execution: plan.execution };
        const partitions = await cutCollection(task, source, run.ledger);
        return partitions.filter(({ done }) => !done).map(({ partition }) => partition);
      }),
    ),
  );
}

/** Loads one partition from its last committed batch on. */
export function anonymizePartition(
  deps: Dependencies,
  ref: RunRef,
  partition: number,
): Promise<PartitionResult> {
  return withDocumentRun(deps, ref, async (run) => {
    const found = await run.ledger.partitions.findOne({ _id: `${ref.run}/${partition}` });
    if (!found)
      throw new LetheError('Internal', `The ledger has no partition ${partition} of run ${ref.run}.`);
    return load(deps, run, [found.table], { kind: 'partitions', partitions: [partition] });
  });
}

/** Cuts and loads several small collections, one after the other over the same two connections. */
export function anonymizeTables(deps: Dependencies, ref: RunRef, tables: number[]): Promise<PartitionResult> {
  return withDocumentRun(deps, ref, (run) => load(deps, run, tables, { kind: 'tables' }));
}

async function load(
  deps: Dependencies,
  { ref, pins, destinationUrl, signal }: OpenDocumentRun,
  tables: readonly number[],
  work: DocumentsTask['work'],
): Promise<PartitionResult> {
  const { plan } = pins;
  const task: DocumentsTask = {
    run: ref.run,
    applicationName: sessionName(ref.run, 'l'),
    source: { url: await deps.resolve(pins.source.url) },
    destination: { url: destinationUrl },
    jobKey: parseJobKey(await deps.resolve(ref.key)),
    ...(await sealingOf(deps, pins)),
    ...{ consistency: plan.consistency, mode: plan.mode, execution: plan.execution, work },
    documents: plan.documents!,
    tables: tables.map((id) => tableOf(plan, id)),
  };
  const metrics = batchMetrics(ref.job);
  const progress = ({ ended }: DocumentsProgress) => {
    heartbeat();
    if (ended) metrics(ended);
  };
  return deps.loadDocuments(task, progress, signal);
}

/** Builds the indexes that are not unique; returns the collections' counts. */
export function settleTables(deps: Dependencies, ref: RunRef, tables: number[]): Promise<TableResult[]> {
  return beating(() =>
    withDocumentRun(deps, ref, async ({ destination, ledger, pins }) => {
      const results: TableResult[] = [];
      for (const id of tables) {
        const table = tableOf(pins.plan, id);
        await makeOtherIndexes(destination, ref.run, pins.plan.mode, table);
        const [summary] = await summarize(ledger, ref.run, id);
        results.push({ id, rows: summary?.rows ?? 0, quarantined: summary?.quarantined ?? 0 });
      }
      return results;
    }),
  );
}

/** Nothing was taken away: what was written stands beside the old collections until the run is complete. */
export function settleReferences(deps: Dependencies, ref: RunRef): Promise<string[]> {
  return withDocumentRun(deps, ref, async ({ ledger }) => {
    await advanceRun(ledger, ref.run, 'settling');
    return [];
  });
}
