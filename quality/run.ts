import type { Plan } from '../plan/plan.js';
import type { Session } from '../postgres/session.js';
import { readRunFacts } from '../postgres/validate.js';
import type { Check } from './checks.js';
import { judgeRun } from './judge.js';

/** Checks a run that has loaded and settled: who owns the tables, counts, constraints, row-aligned leaks. */
export async function checkRun(session: Session, run: string, plan: Plan): Promise<Check[]> {
  return judgeRun(plan, await readRunFacts(session, run, plan));
}
