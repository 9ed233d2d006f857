import type { Job } from '../job/types.js';
import { buildPlan } from '../plan/build.js';
import { type Catalog, tableText } from '../plan/catalog.js';
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
  const [from, there] = await Promise.all([readCatalog(source), readCatalog(destination)]);
  const to = job.destination.createSchema ? withCreated(from, there) : there;
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

/** What the destination will be once `createSchema` has made the tables that it lacks. */
function withCreated(source: Catalog, destination: Catalog): Catalog {
  const known = new Set(destination.tables.map(tableText));
  const sequences = new Set(destination.sequences.map(tableText));
  return {
    ...destination,
    tables: [...destination.tables, ...source.tables.filter((table) => !known.has(tableText(table)))],
    sequences: [
      ...destination.sequences,
      ...source.sequences.filter((sequence) => !sequences.has(tableText(sequence))),
    ],
  };
}
