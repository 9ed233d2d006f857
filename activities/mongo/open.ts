import { setTimeout as sleep } from 'node:timers/promises';
import { LetheError } from '../../errors/errors.js';
import { isOpen } from '../../ledger/states.js';
import type { RunRef, RunRow } from '../../ledger/types.js';
import { databasesOfPlan, dropLeftovers, makeCollections } from '../../mongo/collections.js';
import { ownerOf, takeOver } from '../../mongo/fence.js';
import { advanceRun, findRun, listRuns, supersede } from '../../mongo/ledger/runs.js';
import type { TablePlan } from '../../plan/plan.js';
import type { Dependencies } from '../dependencies.js';
import { isAlive } from '../open.js';
import { type OpenDocumentRun, withDocumentRun } from './run.js';

const WAIT_MS = 5_000;
/** Runs of a ledger among which those that are over are looked for. */
const LOOKED_AT = 1_000;

/**
 * Makes the destination's collections this run's own, one after the other, and those that it writes into. Waits for a
 * live owner, or refuses, as the job says.
 */
export async function openDestination(deps: Dependencies, ref: RunRef): Promise<void> {
  await withDocumentRun(deps, ref, async (run) => {
    for (const table of run.pins.plan.tables) {
      while (!(await tryOpen(deps, run, table))) await sleep(WAIT_MS, undefined, { signal: run.signal });
    }
    const runs = await listRuns(run.ledger, { limit: LOOKED_AT });
    const over = new Set(runs.filter((row) => isOver(row, ref.job)).map((row) => row.run));
    await dropLeftovers(run.destination, databasesOfPlan(run.pins.plan), (id) => over.has(id));
    await makeCollections(run.destination, ref.run, run.pins.plan);
    await advanceRun(run.ledger, ref.run, 'loading');
  });
}

/** A failed run of another job may be replayed. Of runs that this ledger does not know nothing is known. */
function isOver({ state, job }: RunRow, ours: string): boolean {
  return !isOpen(state) && (state !== 'failed' || job === ours);
}

/** False when the collection has a live owner for whom the job waits, or changed hands meanwhile. */
async function tryOpen(deps: Dependencies, run: OpenDocumentRun, table: TablePlan): Promise<boolean> {
  const { ledger, ref, pins } = run;
  const holder = await ownerOf(ledger, table.destination);
  if (holder === ref.run) return true;
  const owner = holder === undefined ? undefined : await findRun(ledger, holder);
  if (owner && isOpen(owner.state)) {
    if (await isAlive(deps, owner)) {
      if (pins.plan.execution.whenBusy === 'wait') return false;
      throw new LetheError(
        'DestinationBusy',
        `Run ${owner.run} of job ${owner.job} is writing collections of this job (workflow ${owner.workflowId}). Wait for it, cancel it with \`lethe cancel ${owner.run}\`, or say whenBusy: wait in the job file.`,
        { run: owner.run, job: owner.job },
      );
    }
    await supersede(ledger, owner.run);
  }
  return takeOver(ledger, table.destination, holder, ref.run);
}
