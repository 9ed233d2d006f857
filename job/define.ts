import { stringify } from 'yaml';
import type { JobFile } from './schema.js';

/**
 * Types a job for people who prefer TypeScript: the object has the shape of the YAML file.
 *
 * @example
 * export default defineJob({
 *   job: 'crm-staging',
 *   source: { postgres: 'env:CRM_URL' },
 *   destination: { postgres: 'env:STAGING_URL' },
 *   key: 'env:LETHE_KEY',
 *   tables: { 'public.customer': { columns: { id: 'permute', email: { email: { keepDomain: true } } } } },
 * });
 */
export function defineJob(file: JobFile): Readonly<JobFile> {
  return Object.freeze(file);
}

/** The YAML text of a job object: what `parseJob` reads and a run pins. */
export function renderJob(file: Readonly<JobFile>): string {
  return stringify(file, { lineWidth: 0 });
}
