import { LetheError } from '../errors/errors.js';
import type { RunRef } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import { rememberDomains } from '../plan/remembered.js';
import { lockStarters, readEpochs, registerTables, takeEpochs } from '../postgres/fence.js';
import { readDomains, writeDomains } from '../postgres/ledger/domains.js';
import { countTried } from '../postgres/ledger/quarantine.js';
import { openAgain } from '../postgres/ledger/replays.js';
import { readRun } from '../postgres/ledger/runs.js';
import { forgetTable } from '../postgres/load/restart.js';
import { quietTables } from '../postgres/saga/quiet.js';
import { restoreDebts } from '../postgres/saga/restore.js';
import { takeAway } from '../postgres/saga/take-away.js';
import { withTransaction } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { epochsOf } from './epochs.js';
import { load, tableOf } from './load.js';
import { heartbeatTimeout, refuseOver, withRun } from './run.js';
import type { ReplayedRows, ReplayPass } from './types.js';

/**
 * Makes the run the only writer of its tables again, in one transaction: new epochs, and nothing that fires for its
 * rows. Constraints and indexes stay in force: a replayed row fits, or it stays in quarantine. Only those of tables
 * that are loaded are taken away, as for a run.
 */
export async function openReplay(
  deps: Dependencies,
  ref: RunRef,
  { loaded, again }: { loaded: number[]; again: number[] },
): Promise<void> {
  await withRun(deps, ref, async (run) => {
    const { session, pins } = run;
    const { tables } = pins.plan;
    const ids = await registerTables(
      session,
      tables.map(({ destination }) => destination),
    );
    await withTransaction(session, async () => {
      const patienceMs = heartbeatTimeout();
      await lockStarters(session, patienceMs);
      refuseOver(await readRun(session, ref.run));
      const held = await readEpochs(session, ref.run);
      const lost = tables.find((_, i) => !held.has(ids[i]!));
      if (lost) {
        throw new LetheError(
          'RunSuperseded',
          `Run ${ref.run} was superseded: ${tableText(lost.destination)} is another run's now. Nothing was replayed.`,
        );
      }
      await takeEpochs(session, ref.run, ids, { patienceMs });
      if (await openAgain(session, ref.run, ref.replay ?? 0)) {
        await writeDomains(session, ref.job, rememberDomains(pins.plan, await readDomains(session, ref.job)));
      }
      for (const table of again) await forgetTable(session, ref.run, tableOf(pins.plan, table));
      if (loaded.length > 0) await takeAway(session, ref.run, pins.plan, { only: new Set(loaded) });
      await quietTables(session, ref.run, tables);
    });
    if (loaded.length > 0) await restoreDebts(session, (await epochsOf(run)).fence, ref.run, pins.plan);
  });
}

/** Tries the quarantined rows of a table again. */
export async function replayRows(deps: Dependencies, ref: RunRef, pass: ReplayPass): Promise<ReplayedRows> {
  return withRun(deps, ref, async (run) => {
    const { table, ...rest } = pass;
    const work = { kind: 'rows', replay: ref.replay ?? 0, ...rest } as const;
    const { rows, quarantined, gone = 0, waiting = 0 } = await load(deps, run, [table], work);
    // An attempt tells only of what those before it left.
    const whole = await countTried(run.session, ref.run, table, pass.pass);
    return { rows: Math.max(rows, whole.copied), quarantined, gone: Math.max(gone, whole.gone), waiting };
  });
}
