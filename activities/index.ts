import type { Dependencies } from './dependencies.js';
import { engineOf } from './engines.js';
import { findReplay } from './findReplay.js';
import { createKeyActivities } from './keys.js';
import { resolveJob } from './resolve.js';
import { beating } from './run.js';
import { createSealActivities, createSealDataActivities } from './sealExisting.js';
import type { ControlActivities, DataActivities } from './types.js';

/** The activities of the control queue, over what the worker gives them. All but the holders heartbeat by a timer. */
export function createControlActivities(deps: Dependencies): ControlActivities {
  return {
    resolveJob: (input) => beating(() => resolveJob(deps, input)),
    prepareRun: (ref, input) => beating(() => engineOf(ref).prepareRun(deps, ref, input)),
    findReplay: (input) => beating(() => findReplay(deps, input)),
    beginReplay: (ref, input) => beating(() => engineOf(ref).beginReplay(deps, ref, input)),
    openReplay: (ref, tables) => beating(() => engineOf(ref).openReplay(deps, ref, tables)),
    holdSnapshot: (ref, holder) => engineOf(ref).holdSnapshot(deps, ref, holder),
    awaitSnapshot: (ref) => beating(() => engineOf(ref).awaitSnapshot(deps, ref)),
    openDestination: (ref) => beating(() => engineOf(ref).openDestination(deps, ref)),
    cutTable: (ref, table) => beating(() => engineOf(ref).cutTable(deps, ref, table)),
    settleTables: (ref, tables) => beating(() => engineOf(ref).settleTables(deps, ref, tables)),
    settleReferences: (ref) => beating(() => engineOf(ref).settleReferences(deps, ref)),
    validateRun: (ref) => beating(() => engineOf(ref).validateRun(deps, ref)),
    finishRun: (ref, end) => beating(() => engineOf(ref).finishRun(deps, ref, end)),
    childStatus: (workflowIds) =>
      beating(() =>
        Promise.all(
          workflowIds.map(async (workflowId) => ({
            workflowId,
            status: await deps.workflowStatus(workflowId),
          })),
        ),
      ),
    ...createKeyActivities(deps),
    ...createSealActivities(deps),
  };
}

/** The activities of the data queue. */
export function createDataActivities(deps: Dependencies): DataActivities {
  return {
    anonymizePartition: (ref, partition) => engineOf(ref).anonymizePartition(deps, ref, partition),
    replayRows: (ref, pass) => engineOf(ref).replayRows(deps, ref, pass),
    anonymizeTables: (ref, tables) => engineOf(ref).anonymizeTables(deps, ref, tables),
    ...createSealDataActivities(deps),
  };
}
