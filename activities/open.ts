import { setTimeout as sleep } from 'node:timers/promises';
import { LetheError } from '../errors/errors.js';
import type { RunRef } from '../ledger/types.js';
import { rememberDomains } from '../plan/remembered.js';
import { lockStarters, registerTables, takeEpochs } from '../postgres/fence.js';
import { readDomains, writeDomains } from '../postgres/ledger/domains.js';
import { advanceRun, openOwners, readRun, supersede } from '../postgres/ledger/runs.js';
import { dropKeepTables } from '../postgres/load/keep.js';
import { restoreDebts } from '../postgres/saga/restore.js';
import { takeAway } from '../postgres/saga/take-away.js';
import { type Session, withTransaction } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { epochsOf } from './epochs.js';
import { heartbeatTimeout, type OpenRun, refuseOver, withRun } from './run.js';

/** An owner whose cluster cannot be asked counts as alive while its run was seen so recently. Seconds. */
const SEEN_WITHIN_S = 60;
const WAIT_MS = 5_000;

/**
 * Makes the destination's tables this run's own, in one transaction: their epochs, an end to runs whose owner is gone,
 * what those left undone, constraints away, tables emptied once. Waits for a live owner, or refuses, as the job says.
 */
export async function openDestination(deps: Dependencies, ref: RunRef): Promise<void> {
  await withRun(deps, ref, async (run) => {
    const { session, pins, signal } = run;
    const ids = await registerTables(
      session,
      pins.plan.tables.map(({ destination }) => destination),
    );
    while (!(await tryOpen(deps, run, ids))) {
      await sleep(WAIT_MS, undefined, { signal });
    }
    await restoreDebts(session, (await epochsOf(run)).fence, ref.run, pins.plan);
    // Those of runs that were terminated; this one has made none yet.
    await dropKeepTables(session, ref.run);
    await advanceRun(session, ref.run, 'loading');
  });
}

/** False when the tables have a live owner for whom the job waits. */
async function tryOpen(deps: Dependencies, run: OpenRun, ids: number[]): Promise<boolean> {
  const { session, pins, ref } = run;
  return withTransaction(session, async () => {
    const patienceMs = heartbeatTimeout();
    await lockStarters(session, patienceMs);
    await refuseEnded(session, ref);
    const gone: string[] = [];
    for (const owner of await openOwners(session, ref.run, ids)) {
      if (await isAlive(deps, owner)) {
        if (pins.plan.execution.whenBusy === 'wait') return false;
        throw new LetheError(
          'DestinationBusy',
          `Run ${owner.run} of job ${owner.job} is writing tables of this job (workflow ${owner.workflowId}). Wait for it, cancel it with \`lethe cancel ${owner.run}\`, or say whenBusy: wait in the job file.`,
          { run: owner.run, job: owner.job },
        );
      }
      gone.push(owner.run);
    }
    await takeEpochs(session, ref.run, ids, { patienceMs });
    await supersede(session, gone);
    await takeAway(session, ref.run, pins.plan);
    await writeDomains(session, ref.job, rememberDomains(pins.plan, await readDomains(session, ref.job)));
    return true;
  });
}

/** The run may have ended while this waited, and whoever ended it put everything back. */
async function refuseEnded(session: Session, { run }: RunRef): Promise<void> {
  refuseOver(await readRun(session, run));
}

/** Whether somebody may still be working on a run. */
export async function isAlive(
  deps: Dependencies,
  owner: { workflowId: string; namespace: string; silentSeconds: number },
): Promise<boolean> {
  const status = await deps.workflowStatus(owner.workflowId, owner.namespace).catch(() => 'unknown' as const);
  return status === 'open' || (status === 'unknown' && owner.silentSeconds < SEEN_WITHIN_S);
}
