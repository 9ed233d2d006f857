import type { RunRef } from '../ledger/types.js';
import { beginReplay } from './beginReplay.js';
import type { Dependencies } from './dependencies.js';
import { finishRun } from './finish.js';
import { anonymizePartition, anonymizeTables, cutTable } from './load.js';
import { mongo } from './mongo/index.js';
import { openDestination } from './open.js';
import { prepareRun } from './prepare.js';
import { openReplay, replayRows } from './replay.js';
import { settleReferences, settleTables } from './settle.js';
import { awaitSnapshot, holdSnapshot } from './snapshot.js';
import type { ControlActivities, DataActivities } from './types.js';
import { validateRun } from './validate.js';

/** The activities of a run that differ by what its databases speak, each over the worker's dependencies. */
export type EngineActivities = {
  readonly [Name in
    | 'prepareRun'
    | 'beginReplay'
    | 'openReplay'
    | 'holdSnapshot'
    | 'awaitSnapshot'
    | 'openDestination'
    | 'cutTable'
    | 'settleTables'
    | 'settleReferences'
    | 'validateRun'
    | 'finishRun']: (
    deps: Dependencies,
    ...input: Parameters<ControlActivities[Name]>
  ) => ReturnType<ControlActivities[Name]>;
} & {
  readonly [Name in 'anonymizePartition' | 'anonymizeTables' | 'replayRows']: (
    deps: Dependencies,
    ...input: Parameters<DataActivities[Name]>
  ) => ReturnType<DataActivities[Name]>;
};

const postgres: EngineActivities = {
  ...{ prepareRun, holdSnapshot, awaitSnapshot, openDestination, cutTable },
  ...{ settleTables, settleReferences, validateRun, finishRun },
  ...{ anonymizePartition, anonymizeTables },
  ...{ beginReplay, openReplay, replayRows },
};

/** The one place where a run's engine decides what is called. */
export function engineOf(ref: RunRef): EngineActivities {
  return ref.engine === 'mongo' ? mongo : postgres;
}
