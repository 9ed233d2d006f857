import { beginReplay } from './beginReplay.js';
import type { Dependencies } from './dependencies.js';
import { findReplay } from './findReplay.js';
import { finishRun } from './finish.js';
import { anonymizePartition, anonymizeTables, cutTable } from './load.js';
import { openDestination } from './open.js';
import { prepareRun } from './prepare.js';
import { openReplay, replayRows } from './replay.js';
import { resolveJob } from './resolve.js';
import { beating } from './run.js';
import { settleReferences, settleTables } from './settle.js';
import { awaitSnapshot, holdSnapshot } from './snapshot.js';
import type { ControlActivities, DataActivities } from './types.js';
import { validateRun } from './validate.js';

/** The activities of the control queue, over what the worker gives them. All but the holders heartbeat by a timer. */
export function createControlActivities(deps: Dependencies): ControlActivities {
  return {
    resolveJob: (input) => beating(() => resolveJob(deps, input)),
    prepareRun: (ref, input) => beating(() => prepareRun(deps, ref, input)),
    findReplay: (input) => beating(() => findReplay(deps, input)),
    beginReplay: (ref, input) => beating(() => beginReplay(deps, ref, input)),
    openReplay: (ref, tables) => beating(() => openReplay(deps, ref, tables)),
    holdSnapshot: (ref, holder) => holdSnapshot(deps, ref, holder),
    awaitSnapshot: (ref) => beating(() => awaitSnapshot(deps, ref)),
    openDestination: (ref) => beating(() => openDestination(deps, ref)),
    cutTable: (ref, table) => beating(() => cutTable(deps, ref, table)),
    settleTables: (ref, tables) => beating(() => settleTables(deps, ref, tables)),
    settleReferences: (ref) => beating(() => settleReferences(deps, ref)),
    validateRun: (ref) => beating(() => validateRun(deps, ref)),
    finishRun: (ref, end) => beating(() => finishRun(deps, ref, end)),
    childStatus: (workflowIds) =>
      beating(() =>
        Promise.all(
          workflowIds.map(async (workflowId) => ({
            workflowId,
            status: await deps.workflowStatus(workflowId),
          })),
        ),
      ),
  };
}

/** The activities of the data queue. */
export function createDataActivities(deps: Dependencies): DataActivities {
  return {
    anonymizePartition: (ref, partition) => anonymizePartition(deps, ref, partition),
    replayRows: (ref, pass) => replayRows(deps, ref, pass),
    anonymizeTables: (ref, tables) => anonymizeTables(deps, ref, tables),
  };
}
