import type { RunRef } from '../ledger/types.js';
import { advanceRun } from '../postgres/ledger/runs.js';
import { summarize } from '../postgres/ledger/summary.js';
import {
  type Settlement,
  settleReferences as settleKeys,
  settleTables as settleThem,
} from '../postgres/settle/settle.js';
import type { Dependencies } from './dependencies.js';
import { epochsOf } from './epochs.js';
import { tableOf } from './load.js';
import { beating, type OpenRun, withRun } from './run.js';
import type { TableResult } from './types.js';

/** Puts the indexes and unique constraints of loaded tables back; returns the tables' counts. */
export async function settleTables(
  deps: Dependencies,
  ref: RunRef,
  tables: number[],
): Promise<TableResult[]> {
  return withRun(deps, ref, (run) =>
    beating(async () => {
      const settlement = await settlementOf(run);
      await settleThem(
        run.session,
        settlement,
        tables.map((id) => tableOf(run.pins.plan, id)),
      );
      const counts = await summarize(run.session, ref.run);
      return tables.map((id) => {
        const count = counts.find(({ table }) => table === id);
        return { id, rows: count?.rows ?? 0, quarantined: count?.quarantined ?? 0 };
      });
    }),
  );
}

/** Puts foreign keys, triggers and rules back. */
export async function settleReferences(deps: Dependencies, ref: RunRef): Promise<void> {
  await withRun(deps, ref, (run) =>
    beating(async () => {
      await advanceRun(run.session, ref.run, 'settling');
      await settleKeys(run.session, await settlementOf(run), run.pins.plan.tables);
    }),
  );
}

async function settlementOf(run: OpenRun): Promise<Settlement> {
  const { fence } = await epochsOf(run);
  return { run: run.ref.run, fence };
}
