import { LetheError } from '../errors/errors.js';
import type { RunRef } from '../ledger/types.js';
import { advanceRun } from '../postgres/ledger/runs.js';
import { isTorn, summarize } from '../postgres/ledger/summary.js';
import { followDeletions } from '../postgres/load/keep.js';
import { Source } from '../postgres/load/source.js';
import { refreshViews, setSequences } from '../postgres/sequences.js';
import type { Session } from '../postgres/session.js';
import {
  type Settlement,
  settleReferences as settleKeys,
  settleTables as settleThem,
} from '../postgres/settle/settle.js';
import type { Dependencies } from './dependencies.js';
import { epochsOf } from './epochs.js';
import { snapshotsOf, tableOf, tellingLoss } from './load.js';
import { reunite } from './reunite.js';
import { type OpenRun, sessionName, withRun } from './run.js';
import { withSource } from './source.js';
import type { TableResult } from './types.js';

/** Puts the indexes and unique constraints of loaded tables back; returns the tables' counts. */
export async function settleTables(
  deps: Dependencies,
  ref: RunRef,
  tables: number[],
): Promise<TableResult[]> {
  return withRun(deps, ref, async (run) => {
    const settlement = await settlementOf(deps, run);
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
  });
}

/**
 * Follows deletions, puts foreign keys, triggers and rules back, moves sequences on, refreshes materialized views;
 * returns warnings.
 */
export async function settleReferences(deps: Dependencies, ref: RunRef): Promise<string[]> {
  return withRun(deps, ref, async (run) => {
    await advanceRun(run.session, ref.run, 'settling');
    const { session, pins } = run;
    const settlement = await settlementOf(deps, run);
    const undeleted = await followDeletions(session, settlement.fence, ref.run, pins.plan);
    // While no row security hides the largest keys.
    await setSequencesOf(deps, run, settlement.fence);
    const reunited: string[] = [];
    const afterKeys = async () => {
      if (!settlement.removing?.orphansComeBack) return;
      reunited.push(...(await reunite(deps, run, settlement.fence)));
      if (reunited.length > 0) await setSequencesOf(deps, run, settlement.fence);
    };
    await settleKeys(session, { ...settlement, afterKeys }, pins.plan.tables);
    const { failed } = await refreshViews(session, settlement.fence, pins.plan.tables);
    return [
      ...(undeleted ? [undeleted] : []),
      ...reunited,
      ...failed.map(
        ({ view, code }) =>
          `The materialized view ${view} could not be refreshed (${code}) and holds what it held before.`,
      ),
    ];
  });
}

/** Positions that are copied are read from the source as it is now: they only have to lie behind what was loaded. */
async function setSequencesOf(deps: Dependencies, run: OpenRun, fence: Settlement['fence']): Promise<void> {
  const { plan } = run.pins;
  const copied =
    plan.freeSequences.length > 0 ||
    plan.tables.some(({ sequences }) => sequences.some(({ action }) => action.kind === 'copy'));
  const set = (source?: Session) =>
    setSequences(run.session, fence, plan, async () => {
      if (source) return source;
      throw new LetheError(
        'Internal',
        'The plan copies no position of a sequence, and yet one was asked for.',
      );
    });
  await (copied ? withSource(deps, run, set) : set());
}

async function settlementOf(deps: Dependencies, run: OpenRun): Promise<Settlement> {
  const { pins, keys, ref, signal } = run;
  const { fence } = await epochsOf(run);
  const openSource = async () => {
    const held = await snapshotsOf(run);
    const options = {
      url: await deps.resolve(pins.source.url),
      role: 'source',
      applicationName: sessionName(ref.run, 't'),
      encoding: pins.source.encoding,
      signal,
    } as const;
    const ids = held.map(({ exportedId }) => exportedId);
    return tellingLoss(run, options.url, ids, () => Source.open(options, ids));
  };
  const orphansComeBack = await isTorn(run.session, ref.run);
  const removing = { plan: pins.plan, keys, runTime: pins.runTime, openSource, orphansComeBack };
  return { run: ref.run, fence, removing };
}
