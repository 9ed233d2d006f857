export { holdSnapshot } from './holdSnapshot.js';
export { syncJob } from './syncJob.js';
export { syncTable } from './syncTable.js';
