import type { BatchRecord } from '../ledger/records.js';

export interface TableTotal {
  readonly name: string;
  readonly rows: number;
  readonly quarantined: number;
  readonly bytes: number;
  readonly batches: number;
  /** From its first batch's begin to its last one's end. */
  readonly seconds: number;
}

export interface RuleCount {
  readonly table: string;
  readonly rule: string;
  /** Values that the rule changed. */
  readonly values: number;
}

/** When a batch was worked on, or all batches of a partition where there are too many to tell apart. */
export interface BatchSpan {
  readonly table: string;
  readonly partition: number;
  /** Absent for a whole partition. */
  readonly batch?: number;
  /** ISO 8601, UTC. */
  readonly from: string;
  readonly to: string;
  readonly rows: number;
}

/** Batches that are told apart in the timeline; of longer runs, partitions are. */
const SPANS = 3_000;

/** Adds batches up while they go by, in the memory of the tables, the rules and a bounded timeline. */
export class BatchTotals {
  private readonly tables = new Map<
    number,
    { rows: number; bytes: number; batches: number; from: string; to: string }
  >();
  private readonly ruleCounts = new Map<number, Map<string, number>>();
  private readonly failed = new Map<string, { table: string; error: string; count: number }>();
  private batches: BatchSpan[] | undefined = [];
  private readonly partitions = new Map<number, BatchSpan>();

  constructor(private readonly nameOf: (table: number) => string) {}

  async *see(batches: AsyncIterable<BatchRecord>): AsyncGenerator<BatchRecord> {
    for await (const batch of batches) {
      this.add(batch);
      yield batch;
    }
  }

  table(id: number, quarantined: number): TableTotal {
    const of = this.tables.get(id);
    const seconds = of ? (Date.parse(of.to) - Date.parse(of.from)) / 1000 : 0;
    return {
      name: this.nameOf(id),
      rows: of?.rows ?? 0,
      quarantined,
      bytes: of?.bytes ?? 0,
      batches: of?.batches ?? 0,
      seconds,
    };
  }

  rules(): RuleCount[] {
    return [...this.ruleCounts].flatMap(([table, counts]) =>
      [...counts].map(([rule, values]) => ({ table: this.nameOf(table), rule, values })),
    );
  }

  unfinished(): { table: string; error: string; count: number }[] {
    return [...this.failed.values()];
  }

  spans(): BatchSpan[] {
    return this.batches ?? [...this.partitions.values()];
  }

  private add(batch: BatchRecord): void {
    const table = this.nameOf(batch.table);
    if (batch.state !== 'committed') {
      const error = batch.error ?? `${batch.state}, never committed`;
      const known = this.failed.get(`${batch.table} ${error}`) ?? { table, error, count: 0 };
      known.count++;
      this.failed.set(`${batch.table} ${error}`, known);
      return;
    }
    const { rows, bytes, rules } = batch.facts;
    const [from, to] = [iso(batch.claimedAt), iso(batch.facts.committedAt)];
    const of = this.tables.get(batch.table);
    this.tables.set(batch.table, {
      rows: (of?.rows ?? 0) + rows,
      bytes: (of?.bytes ?? 0) + bytes,
      batches: (of?.batches ?? 0) + 1,
      from: of && of.from < from ? of.from : from,
      to: of && of.to > to ? of.to : to,
    });
    const counts = this.ruleCounts.get(batch.table) ?? new Map<string, number>();
    for (const [rule, values] of Object.entries(rules)) counts.set(rule, (counts.get(rule) ?? 0) + values);
    this.ruleCounts.set(batch.table, counts);
    this.span({ table, partition: batch.partition, batch: batch.batch, from, to, rows });
  }

  private span(span: BatchSpan): void {
    if (this.batches && this.batches.length >= SPANS) this.batches = undefined;
    this.batches?.push(span);
    const { batch: _, ...whole } = span;
    const known = this.partitions.get(span.partition);
    this.partitions.set(span.partition, {
      ...whole,
      rows: (known?.rows ?? 0) + span.rows,
      from: known && known.from < span.from ? known.from : span.from,
      to: known && known.to > span.to ? known.to : span.to,
    });
  }
}

/** PostgreSQL's text of a time in UTC as ISO 8601, to the millisecond. */
function iso(text: string): string {
  const time = Date.parse(`${text.replace(' ', 'T').replace(/\+00$/, '')}Z`);
  return Number.isNaN(time) ? '' : new Date(time).toISOString();
}
