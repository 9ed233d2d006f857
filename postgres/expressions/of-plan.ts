import type { ExpressionProblem, PlanExpression } from '../../plan/expressions.js';
import { checkExpressions } from '../expressions.js';
import type { Session } from '../session.js';

/** What the source says about the conditions of a plan (`planExpressions`), for `buildPlan` to refuse. */
export async function checkPlanExpressions(
  source: Session,
  expressions: readonly PlanExpression[],
): Promise<ExpressionProblem[]> {
  const problems: ExpressionProblem[] = [];
  for (const expression of expressions) {
    const [check] = await checkExpressions(source, expression.table, [expression.sql]);
    for (const { message } of check?.problems ?? []) problems.push({ expression, message });
  }
  return problems;
}
