import type { Job, Position } from '../job/types.js';
import { type TableName, tableText } from './catalog.js';
import type { Plan } from './plan.js';

/** A SQL condition of the job file, and the source table whose columns it reads. */
export interface PlanExpression {
  readonly table: TableName;
  readonly kind: 'where' | 'when';
  readonly sql: string;
  readonly position?: Position;
}

/** What the source says is wrong with a condition: it does not parse, or depends on more than the row. */
export interface ExpressionProblem {
  readonly expression: PlanExpression;
  /** What is wrong and the way out. */
  readonly message: string;
}

/** Every condition that a run would evaluate at the source, for it to check. */
export function planExpressions(job: Job, plan: Pick<Plan, 'tables'>): PlanExpression[] {
  return plan.tables.flatMap(({ source, where, conditions }) => {
    const position = job.tables[tableText(source)]?.position;
    const filter: PlanExpression[] =
      where === undefined
        ? []
        : [{ table: source, kind: 'where', sql: where, ...(position && { position }) }];
    return [
      ...filter,
      ...conditions.map((sql): PlanExpression => {
        const rule = job.rules.find((candidate) => candidate.when === sql);
        return { table: source, kind: 'when', sql, ...(rule && { position: rule.position }) };
      }),
    ];
  });
}
