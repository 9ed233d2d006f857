import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import type { ExecutionPlan, TablePlan } from '../../plan/plan.js';
import { countTable } from '../ledger/batches.js';
import { countQuarantined, type QuarantinedRow } from '../ledger/quarantine.js';
import type { Session } from '../session.js';
import type { TableContext } from './context.js';

/** How many rows of a table are in quarantine, and how many may be, as the job says. */
export async function quarantineLimit(
  destination: Session,
  run: string,
  table: Pick<TablePlan, 'id' | 'rows'>,
  { onFailure, batchRows }: ExecutionPlan,
): Promise<{ used: number; limit: number }> {
  const used = await countQuarantined(destination, run, table.id);
  if (onFailure.kind === 'fail') return { used, limit: 0 };
  const size = Math.max(table.rows, await countTable(destination, run, table.id), batchRows);
  const share = onFailure.share === undefined ? Number.POSITIVE_INFINITY : Math.floor(onFailure.share * size);
  return { used, limit: Math.min(onFailure.rows ?? Number.POSITIVE_INFINITY, share) };
}

/** How many more rows of a table may go to quarantine. */
export class QuarantineBudget {
  private constructor(
    private readonly table: string,
    private left: number,
    private readonly limit: number,
  ) {}

  /** For rows that are in quarantine already. */
  static unlimited({ table }: TableContext): QuarantineBudget {
    const name = tableText(table.plan.source);
    return new QuarantineBudget(name, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  static async open({ task, table, destination }: TableContext): Promise<QuarantineBudget> {
    const { used, limit } = await quarantineLimit(destination, task.run, table.plan, task.execution);
    return new QuarantineBudget(tableText(table.plan.source), limit - used, limit);
  }

  /** @throws LetheError `QuarantineLimit` when the row is one too many. */
  spend({ code, constraint, column, rule }: QuarantinedRow): void {
    this.left--;
    if (this.left >= 0) return;
    const why = [
      code === 'transformer' ? `rule ${rule}` : `SQLSTATE ${code}`,
      column && `column ${column}`,
      constraint && `constraint ${constraint}`,
    ];
    const reason = why.filter(Boolean).join(', ');
    const message =
      this.limit === 0
        ? `A row of ${this.table} was refused (${reason}), and the job says \`onFailure: fail\` or allows none. Repair the row or the rule, or allow some with \`onFailure: { quarantine: N }\`.`
        : `More than ${this.limit} rows of ${this.table} were refused (the last: ${reason}). Repair the rows or the rule, or raise the limit of \`onFailure\`.`;
    throw new LetheError('QuarantineLimit', message, {
      table: this.table,
      limit: this.limit,
      code,
      column,
      constraint,
      rule,
    });
  }
}
