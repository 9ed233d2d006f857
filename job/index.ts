export { defineJob, renderJob } from './define.js';
export {
  formatMistakes,
  type LoadedJob,
  loadJob,
  type ParsedJob,
  type ParseOptions,
  parseJob,
} from './load.js';
export type { JobFile } from './schema.js';
export type * from './types.js';
