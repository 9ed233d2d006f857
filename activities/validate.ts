import { parseJobKey } from '../anonymize/keys.js';
import { type CheckResult, fails } from '../ledger/checks.js';
import type { RunRef } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import { insertCheckResult, otherGenerations } from '../postgres/ledger/checkResults.js';
import { advanceRun } from '../postgres/ledger/runs.js';
import { currentSnapshots } from '../postgres/ledger/snapshots.js';
import { quarantineReasons, summarize } from '../postgres/ledger/summary.js';
import { type RunFacts, readRunFacts } from '../postgres/validate.js';
import { distributionRecords, judge, settingsOf } from '../quality/run.js';
import type { InspectTask } from '../quality/task.js';
import type { Dependencies } from './dependencies.js';
import { type OpenRun, sessionName, withRun } from './run.js';
import { judgedBy, sealingOf } from './sealing.js';
import type { RunVerdict } from './types.js';

/** Checks what was loaded: counts against the ledger, constraints, and the rows themselves in a thread. */
export async function validateRun(deps: Dependencies, ref: RunRef): Promise<RunVerdict> {
  return withRun(deps, ref, async (run) => {
    const began = Date.now();
    const { session, pins } = run;
    await advanceRun(session, ref.run, 'validating');
    const facts = await readRunFacts(session, ref.run, pins.plan);
    const inspection = await deps.inspect(await inspectTask(deps, run, facts), run.signal);
    const checks = judge(pins.plan, settingsOf(pins.plan), facts, inspection);
    const tables = await summarize(session, ref.run);
    const names = new Map(pins.plan.tables.map((table) => [table.id, tableText(table.source)]));
    const reasons = await quarantineReasons(session, ref.run);
    const record = {
      run: ref.run,
      job: ref.job,
      origin: 'run',
      ok: !checks.some(fails),
      seconds: (Date.now() - began) / 1000,
      ...(inspection.snapshot !== undefined && { sourceSnapshot: inspection.snapshot }),
      checks,
      distributions: distributionRecords(pins.plan, inspection),
    } as const;
    await insertCheckResult(session, record, ref.replay ?? 0);
    return {
      ok: !checks.some(fails) && reasons.length === 0,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      quarantined: reasons.map(({ table, ...rest }) => ({
        table: names.get(table) ?? String(table),
        ...rest,
      })),
      checks: checks.map(withoutDetails),
    };
  });
}

/** What a thread needs; every secret in it was resolved here and stays in this process. */
async function inspectTask(deps: Dependencies, run: OpenRun, facts: RunFacts): Promise<InspectTask> {
  const { pins, ref, session } = run;
  const held = await currentSnapshots(session, ref.run);
  const [first] = held;
  return {
    run: ref.run,
    applicationName: sessionName(ref.run, 'v'),
    source: { url: await deps.resolve(pins.source.url), encoding: pins.source.encoding },
    destination: { url: run.destinationUrl },
    jobKey: parseJobKey(await deps.resolve(ref.key)),
    ...(await sealingOf(deps, pins)),
    ...judgedBy(pins),
    plan: pins.plan,
    settings: settingsOf(pins.plan),
    runTime: pins.runTime,
    snapshots: first ? held.map(({ exportedId }) => exportedId) : 'none',
    written: facts.tables.map(({ table, written }) => [table, written]),
    unsteady: first ? await otherGenerations(session, ref.run, first.generation) : [],
  };
}

/** Histories and reports stay small; the ledger has it all. */
export function withoutDetails({ details: _, ...check }: CheckResult): CheckResult {
  return check;
}
