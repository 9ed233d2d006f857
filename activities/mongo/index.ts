import type { EngineActivities } from '../engines.js';
import { finishRun, validateRun } from './finish.js';
import { anonymizePartition, anonymizeTables, cutTable, settleReferences, settleTables } from './load.js';
import { openDestination } from './open.js';
import { prepareRun } from './prepare.js';
import { beginReplay, openReplay, replayRows } from './replay.js';

/** The activities of a run over MongoDB. */
export const mongo: EngineActivities = {
  ...{ prepareRun, openDestination, cutTable, anonymizePartition, anonymizeTables },
  ...{ settleTables, settleReferences, validateRun, finishRun },
  ...{ beginReplay, openReplay, replayRows },
  /** MongoDB has no snapshot that lasts as long as a run: nothing is held, and the workflow of the holders ends. */
  holdSnapshot: async () => undefined,
  awaitSnapshot: async () => undefined,
};
