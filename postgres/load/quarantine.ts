import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import { countTable } from '../ledger/batches.js';
import { countQuarantined, type QuarantinedRow } from '../ledger/quarantine.js';
import type { TableContext } from './context.js';

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
    const { onFailure } = task.execution;
    const name = tableText(table.plan.source);
    if (onFailure.kind === 'fail') return new QuarantineBudget(name, 0, 0);
    const used = await countQuarantined(destination, task.run, table.plan.id);
    const seen = await countTable(destination, task.run, table.plan.id);
    const size = Math.max(table.plan.rows, seen, task.execution.batchRows);
    const limit = Math.min(
      onFailure.rows ?? Number.POSITIVE_INFINITY,
      onFailure.share === undefined ? Number.POSITIVE_INFINITY : Math.floor(onFailure.share * size),
    );
    return new QuarantineBudget(name, limit - used, limit);
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
