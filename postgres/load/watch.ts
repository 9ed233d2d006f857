import { tableText } from '../../plan/catalog.js';
import type { BatchId } from '../ledger/twins.js';
import type { TableContext } from './context.js';
import type { BatchEnd } from './task.js';

/** Measures a batch from here to its end, and tells whoever watches. */
export class BatchWatch {
  private readonly began = performance.now();
  private readonly transformMs: number;

  constructor(
    private readonly context: TableContext,
    private readonly id: Pick<BatchId, 'partition' | 'batch'>,
  ) {
    this.transformMs = context.clock.transformMs;
  }

  tell(state: BatchEnd['state'], of: Pick<BatchEnd, 'rows' | 'bytes' | 'quarantined'>): void {
    const { report, written, clock, table } = this.context;
    const { partition, batch } = this.id;
    const { rows, bytes, quarantined } = of;
    report({
      ...{ partition, batch },
      ...written,
      ended: {
        ...{ state, rows, bytes, quarantined },
        table: tableText(table.plan.source),
        seconds: (performance.now() - this.began) / 1000,
        transformSeconds: (clock.transformMs - this.transformMs) / 1000,
      },
    });
  }
}
