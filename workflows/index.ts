export { destroyDayKeys } from './destroyDayKeys.js';
export { generateDayKeys } from './generateDayKeys.js';
export { holdSnapshot } from './holdSnapshot.js';
export { replayFailedBatches } from './replayFailedBatches.js';
export { sealExisting } from './sealExisting.js';
export { syncJob } from './syncJob.js';
export { syncTable } from './syncTable.js';
