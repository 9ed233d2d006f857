import { setTimeout as sleep } from 'node:timers/promises';
import { heartbeat } from '@temporalio/activity';
import { LetheError } from '../errors/errors.js';
import type { RunRef } from '../ledger/types.js';
import { rememberDomains } from '../plan/remembered.js';
import { registerTables, takeEpochs } from '../postgres/fence.js';
import { readDomains, writeDomains } from '../postgres/ledger/domains.js';
import { advanceRun, openOwners, supersede } from '../postgres/ledger/runs.js';
import { restoreDebts } from '../postgres/saga/restore.js';
import { takeAway } from '../postgres/saga/take-away.js';
import { query, withTransaction } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { epochsOf } from './epochs.js';
import { beating, type OpenRun, withRun } from './run.js';

/** An owner whose cluster cannot be asked counts as alive while its run was seen so recently. Seconds. */
const SEEN_WITHIN_S = 60;
const WAIT_MS = 5_000;

/**
 * Makes the destination's tables this run's own, in one transaction: their epochs, an end to runs whose owner is gone,
 * what those left undone, constraints away, tables emptied once. Waits for a live owner, or refuses, as the job says.
 */
export async function openDestination(deps: Dependencies, ref: RunRef): Promise<void> {
  await withRun(deps, ref, (run) =>
    beating(async () => {
      const { session, pins, signal } = run;
      const ids = await registerTables(
        session,
        pins.plan.tables.map(({ destination }) => destination),
      );
      while (!(await tryOpen(deps, run, ids))) {
        heartbeat();
        await sleep(WAIT_MS, undefined, { signal });
      }
      await restoreDebts(session, (await epochsOf(run)).fence, ref.run, pins.plan);
      await advanceRun(session, ref.run, 'loading');
    }),
  );
}

/** False when the tables have a live owner for whom the job waits. */
async function tryOpen(deps: Dependencies, run: OpenRun, ids: number[]): Promise<boolean> {
  const { session, pins, ref } = run;
  return withTransaction(session, async () => {
    // One starter at a time looks for owners and becomes one.
    await query(session, `SELECT pg_advisory_xact_lock(hashtext('lethe/start'))`);
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
    await takeEpochs(session, ref.run, ids);
    await supersede(session, gone);
    await takeAway(session, ref.run, pins.plan);
    await writeDomains(session, ref.job, rememberDomains(pins.plan, await readDomains(session, ref.job)));
    return true;
  });
}

async function isAlive(
  deps: Dependencies,
  owner: { workflowId: string; namespace: string; silentSeconds: number },
): Promise<boolean> {
  const status = await deps.workflowStatus(owner.workflowId, owner.namespace).catch(() => 'unknown' as const);
  return status === 'open' || (status === 'unknown' && owner.silentSeconds < SEEN_WITHIN_S);
}
