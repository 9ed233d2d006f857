import { linkFits } from '../chain.js';
import type { BatchRecord, PartitionHead, PartitionRecord } from '../records.js';
import type { Bounds } from '../types.js';
import type { Findings } from './findings.js';

/** Opens sealed bounds with the job key; throws when they were changed or moved. */
export type OpenBounds = (
  owner: { readonly partition: number; readonly batch?: number },
  sealed: string,
) => Bounds;

export interface Walk {
  readonly partitions: readonly PartitionRecord[];
  /** By partition and number. */
  readonly batches: AsyncIterable<BatchRecord>;
  /** Name of a table by its id in the plan. */
  readonly nameOf: (table: number) => string;
  /** The run says that all of it was loaded. */
  readonly complete: boolean;
  readonly openBounds?: OpenBounds;
  /** Called for every batch that was committed. */
  readonly visit?: (batch: BatchRecord) => void;
}

export interface Walked {
  readonly heads: readonly PartitionHead[];
  /** Rows that committed batches wrote, by table id. */
  readonly rows: ReadonlyMap<number, number>;
}

/** Walks the chains of all partitions, batch by batch, in the memory of one partition's state. */
export async function walkChains(walk: Walk, findings: Findings): Promise<Walked> {
  const chains = new Map(walk.partitions.map((row) => [row.partition, new Chain(row, walk, findings)]));
  const rows = new Map<number, number>();
  let batches = 0;
  for await (const batch of walk.batches) {
    const chain = chains.get(batch.partition);
    if (!chain) {
      const place = { partition: batch.partition, batch: batch.batch };
      findings.add('mismatch', 'chain', `${text(batch)} belongs to a partition that is not there.`, place);
      continue;
    }
    batches++;
    chain.next(batch);
    if (batch.chain === null) continue;
    rows.set(batch.table, (rows.get(batch.table) ?? 0) + batch.facts.rows);
    walk.visit?.(batch);
  }
  for (const chain of chains.values()) chain.end();
  const looked = `${batches} batches in ${walk.partitions.length} partitions`;
  findings.looked('chain', `${looked}, each linked to the one before it`);
  if (walk.openBounds) findings.looked('bounds', `${looked}: ranges without a gap or an overlap`);
  else findings.add('unchecked', 'bounds', 'Ranges are sealed under the job key, which is not at hand.');
  return {
    rows,
    heads: [...chains.values()].map(({ row, link }) => ({ partition: row, link: row.head ?? link })),
  };
}

/** One partition: its batches come in order. */
class Chain {
  /** The last link so far, as stored. */
  link = '';
  private expected = 0;
  private pending = false;
  /** Where the next batch has to begin; undefined when that is not known. */
  private from: Bounds['from'] | undefined;
  private whole: Bounds | undefined;

  constructor(
    readonly row: PartitionRecord,
    private readonly walk: Walk,
    private readonly findings: Findings,
  ) {
    this.whole = row.replay === null ? this.open(undefined, row.bounds) : undefined;
    this.from = this.whole?.from;
  }

  next(batch: BatchRecord): void {
    if (this.pending) this.add(batch, `${text(batch)} follows one that was never committed.`);
    if (batch.table !== this.row.table) {
      this.add(batch, `${text(batch)} is said to be of another table than its partition.`);
    }
    const gap = batch.batch !== this.expected;
    if (gap) {
      const last = batch.batch - 1;
      const missing = this.expected === last ? `Batch ${last}` : `Batches ${this.expected} to ${last}`;
      this.add(
        { batch: this.expected },
        `${missing} of partition ${this.row.partition} ${this.expected === last ? 'is' : 'are'} missing.`,
      );
      this.from = undefined;
    }
    this.expected = batch.batch + 1;
    this.state(batch);
    // After a gap the link before is not known.
    if (batch.chain !== null && !gap && !linkFits(batch.chain, this.link, batch.facts)) {
      this.add(
        batch,
        `${text(batch)} does not fit its link: its table, range, rows, rules, digests, evidence or time, or the link itself, were changed, or it was put in.`,
      );
    }
    this.link = batch.chain ?? this.link;
    this.range(batch);
  }

  end(): void {
    const { partition, done, head } = this.row;
    if (this.walk.complete && !done) {
      this.add({}, `Partition ${partition} is said to be unfinished, and yet the run is complete.`);
    }
    if (head === null ? done : head !== this.link) {
      this.add(
        {},
        `The head of partition ${partition} is not the link of its last batch: batches are missing at its end, or the head was changed.`,
      );
    }
    if (done && this.whole && this.from !== undefined && !same(this.from, this.whole.to)) {
      const message = `The batches of partition ${partition} end before the partition does: rows may be missing.`;
      this.findings.add('mismatch', 'bounds', message, this.place({}));
    }
  }

  private state(batch: BatchRecord): void {
    const committed = batch.state === 'committed';
    if (committed !== (batch.chain !== null)) {
      this.add(
        batch,
        committed
          ? `${text(batch)} is said to be committed, and has no link: it never was, or the link was taken away.`
          : `${text(batch)} is said to be ${batch.state}, and has a link: it was committed.`,
      );
    }
    if (batch.chain !== null) return;
    this.pending = true;
    if (this.walk.complete && !committed) {
      this.add(batch, `${text(batch)} is ${batch.state}, and yet the run is complete.`);
    }
  }

  private range(batch: BatchRecord): void {
    if (this.row.replay !== null) return;
    const bounds = this.open(batch.batch, batch.facts.bounds);
    if (bounds && this.from !== undefined && !same(bounds.from, this.from)) {
      const message = `${text(batch)} does not begin where the one before it ends.`;
      this.findings.add('mismatch', 'bounds', message, this.place(batch));
    }
    this.from = bounds && batch.chain !== null ? bounds.to : undefined;
  }

  private open(batch: number | undefined, sealed: string): Bounds | undefined {
    try {
      return this.walk.openBounds?.(
        { partition: this.row.partition, ...(batch !== undefined && { batch }) },
        sealed,
      );
    } catch {
      const what =
        batch === undefined
          ? `partition ${this.row.partition}`
          : `batch ${batch} of partition ${this.row.partition}`;
      const message = `The sealed range of ${what} does not open: it was changed, or taken from elsewhere.`;
      this.findings.add('mismatch', 'bounds', message, this.place(batch === undefined ? {} : { batch }));
      return undefined;
    }
  }

  private add(batch: { readonly batch?: number }, message: string): void {
    this.findings.add('mismatch', 'chain', message, this.place(batch));
  }

  private place({ batch }: { readonly batch?: number }) {
    const { partition, table } = this.row;
    return { table: this.walk.nameOf(table), partition, ...(batch !== undefined && { batch }) };
  }
}

function text({ partition, batch }: BatchRecord): string {
  return `Batch ${batch} of partition ${partition}`;
}

function same(a: Bounds['from'], b: Bounds['from']): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
