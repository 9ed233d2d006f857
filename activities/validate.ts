import type { RunRef } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import { advanceRun } from '../postgres/ledger/runs.js';
import { quarantineReasons, summarize } from '../postgres/ledger/summary.js';
import { checkRun } from '../quality/run.js';
import type { Dependencies } from './dependencies.js';
import { withRun } from './run.js';
import type { RunVerdict } from './types.js';

/** Checks what was loaded: counts against the ledger, constraints, leaks. */
export async function validateRun(deps: Dependencies, ref: RunRef): Promise<RunVerdict> {
  return withRun(deps, ref, async (run) => {
    const { session, pins } = run;
    await advanceRun(session, ref.run, 'validating');
    const checks = await checkRun(session, ref.run, pins.plan);
    const tables = await summarize(session, ref.run);
    const names = new Map(pins.plan.tables.map((table) => [table.id, tableText(table.source)]));
    const reasons = await quarantineReasons(session, ref.run);
    return {
      ok: checks.every(({ ok }) => ok) && reasons.length === 0,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      quarantined: reasons.map(({ table, ...rest }) => ({
        table: names.get(table) ?? String(table),
        ...rest,
      })),
      checks: checks.map(({ name, ok, message }) => ({ name, ok, message })),
    };
  });
}
