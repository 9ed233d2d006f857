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
}

/**
 * The link of a batch: SHA-256, hex, over the link before it ('' for the first batch of a partition) and its own facts.
 * Changing, removing or reordering batches of a partition changes its last link, which the run's signature covers.
 */
export function chainLink(previous: string, facts: BatchFacts): string {
  const text = JSON.stringify([
    'lethe/1/batch',
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
  ]);
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The heads of a run's partitions as one digest (SHA-256, hex): what a run signs. Partitions in ascending order.
 *
 * @param heads Last link by partition; '' for a partition without a batch.
 */
export function headsDigest(heads: ReadonlyMap<number, string>): string {
  const ordered = [...heads].sort(([a], [b]) => a - b);
  return createHash('sha256')
    .update(JSON.stringify(['lethe/1/heads', ordered]))
    .digest('hex');
}

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
}
