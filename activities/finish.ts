import { type RunReport, reportBase, signReport } from '../ledger/report.js';
import type { RunRef } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import { registerTables, takeEpochs } from '../postgres/fence.js';
import { endRun } from '../postgres/ledger/runs.js';
import { partitionHeads, quarantineReasons, summarize } from '../postgres/ledger/summary.js';
import { type Restored, restore } from '../postgres/saga/restore.js';
import { withTransaction } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { epochsOf } from './epochs.js';
import { beating, type OpenRun, withRun } from './run.js';
import type { RunEnd } from './types.js';

/**
 * Ends a run: puts back whatever is still away, then signs what happened. Idempotent. A run that a later one has taken
 * over is left alone: what it took away is the later one's debt.
 */
export async function finishRun(deps: Dependencies, ref: RunRef, end: RunEnd): Promise<void> {
  await withRun(
    deps,
    ref,
    (run) =>
      beating(async () => {
        if (run.row.state === 'superseded') return;
        const restored = end.state === 'complete' ? undefined : await putBack(run);
        await sign(run, end, restored);
      }),
    { ended: true },
  );
}

/** Raises the epochs first: a worker that still writes for this run, unheard of, is fenced off. */
async function putBack(run: OpenRun): Promise<Restored> {
  const { session, ref, pins } = run;
  const owned = await epochsOf(run);
  const ids = await registerTables(
    session,
    pins.plan.tables.filter((table) => owned.has(table)).map(({ destination }) => destination),
  );
  await withTransaction(session, () => takeEpochs(session, ref.run, ids));
  const { fence } = await epochsOf(run);
  return restore(session, fence, { runs: [ref.run] });
}

async function sign(run: OpenRun, end: RunEnd, restored: Restored | undefined): Promise<void> {
  const { session, ref, pins, keys } = run;
  const tables = new Map(pins.plan.tables.map((table) => [table.id, tableText(table.source)]));
  const name = (id: number) => tables.get(id) ?? String(id);
  const [heads, summary, reasons] = [
    await partitionHeads(session, ref.run),
    await summarize(session, ref.run),
    await quarantineReasons(session, ref.run),
  ];
  const report: RunReport = {
    ...reportBase(ref.run, pins, heads),
    state: end.state,
    endedAt: new Date().toISOString(),
    tables: summary.map(({ table, rows, quarantined }) => ({ name: name(table), rows, quarantined })),
    quarantined: reasons.map(({ table, count, reason }) => ({ table: name(table), count, reason })),
    checks: end.checks ?? [],
    error: end.error ? { type: end.error, message: end.message ?? '' } : undefined,
    restored: restored && { emptied: restored.emptied, owed: restored.owed },
  };
  await endRun(session, ref.run, { state: end.state, report, ...signReport(report, keys.signing) });
}
