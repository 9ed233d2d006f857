import { createHash } from 'node:crypto';

/** What a batch did, as its link of the partition's hash chain covers it. */
export interface BatchFacts {
  readonly run: string;
  readonly partition: number;
  readonly batch: number;
  readonly table: number;
  /** As stored: encrypted. */
  readonly bounds: string;
  readonly generation: number;
  readonly rows: number;
  readonly quarantined: number;
  /** Bytes of COPY text that were written. */
  readonly bytes: number;
  readonly rules: Readonly<Record<string, number>>;
  readonly leaks: Readonly<Record<string, number>>;
  /** SHA-256, hex. */
  readonly sourceDigest: string;
  readonly outputDigest: string;
  /** SHA-256, hex, of `lethe.batch.evidence`, or ''. */
  readonly evidenceDigest: string;
  /** When its rows were written, just before its commit: `lethe.batch.committed_at` as a session of ours prints it. */
  readonly committedAt: string;
}

/**
 * The link of a batch: SHA-256, hex, over the link before it ('' for the first batch of a partition) and its own facts.
 * Changing, removing or reordering batches of a partition changes its last link, which the run's signature covers.
 */
export function chainLink(previous: string, facts: BatchFacts): string {
  return digest(['lethe/2/batch', ...covered(previous, facts), facts.committedAt]);
}

/** A batch's link as stored fits its facts and the link before it, in the present form or in an earlier one. */
export function linkFits(link: string, previous: string, facts: BatchFacts): boolean {
  return link === chainLink(previous, facts) || link === firstForm(previous, facts);
}

/** Links as they were before they covered the time. */
function firstForm(previous: string, facts: BatchFacts): string {
  return digest(['lethe/1/batch', ...covered(previous, facts)]);
}

function covered(previous: string, facts: BatchFacts): unknown[] {
  return [
    previous,
    facts.run,
    facts.partition,
    facts.batch,
    facts.table,
    facts.bounds,
    facts.generation,
    facts.rows,
    facts.quarantined,
    facts.bytes,
    sorted(facts.rules),
    sorted(facts.leaks),
    facts.sourceDigest,
    facts.outputDigest,
    facts.evidenceDigest,
  ];
}

/**
 * The heads of a run's partitions as one digest (SHA-256, hex): what a run signs. Partitions in ascending order.
 *
 * @param heads Last link by partition; '' for a partition without a batch.
 */
export function headsDigest(heads: ReadonlyMap<number, string>): string {
  const ordered = [...heads].sort(([a], [b]) => a - b);
  return digest(['lethe/1/heads', ordered]);
}

function digest(facts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
}
