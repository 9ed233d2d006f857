import { createHash } from 'node:crypto';
import { type RunReport, reportBase, reportedPartitions, signReport } from '../ledger/report.js';
import type { RunRef } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import { prunableRuns, pruneRuns } from '../postgres/ledger/prune.js';
import { readPartitionRecords, readQuarantineRecords } from '../postgres/ledger/records.js';
import { previousSignature } from '../postgres/ledger/replays.js';
import { endRun } from '../postgres/ledger/runs.js';
import { partitionHeads, quarantineReasons, summarize } from '../postgres/ledger/summary.js';
import { dropKeepTables } from '../postgres/load/keep.js';
import { type Restored, restoreRuns } from '../postgres/saga/restore.js';
import { withTransaction } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { countRun } from './metrics.js';
import { type OpenRun, withRun } from './run.js';
import type { RunEnd } from './types.js';

/**
 * Ends a run: puts back whatever is still away, then signs what happened. Idempotent. A run that a later one has taken
 * over is left alone: what it took away is the later one's debt.
 */
export async function finishRun(deps: Dependencies, ref: RunRef, end: RunEnd): Promise<void> {
  await withRun(
    deps,
    ref,
    async (run) => {
      if (run.row.state === 'superseded') return;
      const restored = end.state === 'complete' ? undefined : await restoreRuns(run.session, [ref.run]);
      // A replay of a failed run goes on with them; else the next run removes them.
      if (end.state === 'cancelled') await dropKeepTables(run.session, ref.run);
      await sign(run, end, restored);
      if (end.state === 'complete') await prune(run);
    },
    { ended: true },
  );
}

/** Removes what the job's ledger need not keep of earlier runs. */
async function prune({ session, ref, pins }: OpenRun): Promise<void> {
  const { keepSeconds, keepRuns } = pins.plan.execution.ledger ?? {};
  if (keepSeconds === undefined && keepRuns === undefined) return;
  await withTransaction(session, async () => {
    await pruneRuns(session, await prunableRuns(session, { job: ref.job, keepSeconds, keepRuns }));
  });
}

/** A replay's report follows the one before it, so that no segment can be left out. */
async function replayPart({ session, ref }: OpenRun, end: RunEnd): Promise<RunReport['replay']> {
  if (ref.replay === undefined) return undefined;
  const before = await previousSignature(session, ref.run, ref.replay);
  const { copied = 0, gone = 0 } = end.replayed ?? {};
  const previous = createHash('sha256')
    .update(before ?? '')
    .digest('hex');
  return { n: ref.replay, copied, gone, previous };
}

async function sign(run: OpenRun, end: RunEnd, restored: Restored | undefined): Promise<void> {
  const { session, ref, pins, keys } = run;
  const tables = new Map(pins.plan.tables.map((table) => [table.id, tableText(table.source)]));
  const name = (id: number) => tables.get(id) ?? String(id);
  const links = await partitionHeads(session, ref.run);
  const partitions = await readPartitionRecords(session, ref.run);
  const heads = partitions.map((partition) => ({ partition, link: links.get(partition.partition) ?? '' }));
  const quarantine = await readQuarantineRecords(session, ref.run);
  const [summary, reasons] = [await summarize(session, ref.run), await quarantineReasons(session, ref.run)];
  const report: RunReport = {
    ...reportBase({
      run: ref.run,
      mode: run.row.mode,
      startedAt: run.row.startedAt,
      pins,
      heads,
      quarantine,
    }),
    state: end.state,
    endedAt: new Date().toISOString(),
    tables: summary.map(({ table, rows, quarantined }) => ({
      ...{ name: name(table), rows, quarantined },
      ...reportedPartitions(heads, table),
    })),
    quarantined: reasons.map(({ table, count, reason }) => ({ table: name(table), count, reason })),
    checks: end.checks ?? [],
    error: end.error ? { type: end.error, message: end.message ?? '' } : undefined,
    replay: await replayPart(run, end),
    restored: restored && { emptied: restored.emptied, owed: restored.owed },
  };
  await endRun(session, ref.run, { state: end.state, report, ...signReport(report, keys.signing) });
  countRun(ref.job, end.state, report.tables);
}
