import type { Job } from '../job/types.js';
import { buildPlan } from '../plan/build.js';
import type { Catalog } from '../plan/catalog.js';
import { planExpressions } from '../plan/expressions.js';
import type { Plan } from '../plan/plan.js';
import { readCatalog } from './catalog/read.js';
import { checkPlanExpressions } from './expressions/of-plan.js';
import { readDomains } from './ledger/domains.js';
import type { Session } from './session.js';

/** What was read for a plan, and the plan. */
export interface Planned {
  readonly plan: Plan;
  readonly source: Catalog;
  readonly destination: Catalog;
}

/**
 * Reads both catalogs side by side and plans; the source judges the job's conditions. Writes nothing. Never throws for
 * a mistake in the job: the plan's findings hold what is wrong.
 *
 * @param acceptDomains Somebody accepted that columns come out differently than in earlier runs.
 */
export async function planJob(
  job: Job,
  source: Session,
  destination: Session,
  acceptDomains = false,
): Promise<Planned> {
  const [from, to] = await Promise.all([readCatalog(source), readCatalog(destination)]);
  const remembered = await readDomains(destination, job.job);
  const input = { job, source: from, destination: to, remembered, acceptDomains };
  const plan = buildPlan(input);
  const expressionProblems = await checkPlanExpressions(source, planExpressions(job, plan));
  return {
    plan: expressionProblems.length > 0 ? buildPlan({ ...input, expressionProblems }) : plan,
    source: from,
    destination: to,
  };
}
