import type { Job } from '../job/types.js';
import { buildPlan } from '../plan/build.js';
import type { Catalog } from '../plan/catalog.js';
import type { Plan } from '../plan/plan.js';
import { readCatalog } from './catalog/read.js';
import type { Session } from './session.js';

/** Reads both catalogs side by side and plans. Writes nothing; the plan's findings hold what is wrong. */
export async function planJob(job: Job, source: Session, destination: Session): Promise<{ plan: Plan; source: Catalog }> {
  const [from, to] = await Promise.all([readCatalog(source), readCatalog(destination)]);
  return { plan: buildPlan({ job, source: from, destination: to }), source: from };
}
