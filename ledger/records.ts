import { createHash } from 'node:crypto';
import { canonicalJson } from '../plan/json.js';
import type { BatchFacts } from './chain.js';
import type { RunReport } from './report.js';
import type { Pins, RunState } from './types.js';

/*
 * The ledger of one run as it is stored: what an audit reads, what an export holds. Bounds and keys stay sealed.
 */

/** A row of `lethe.run`. */
export interface RunRecord {
  readonly run: string;
  readonly job: string;
  readonly mode: string;
  readonly state: RunState;
  /** Both ISO 8601, UTC. */
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly pins: Pins;
  readonly signed: SignedReport | null;
}

/** A report with what proves that the holder of the job key made it. */
export interface SignedReport {
  readonly report: RunReport;
  /** Ed25519, base64. */
  readonly signature: string | null;
  readonly publicKey: string | null;
}

/** A part of a run with what it worked by: the run as it was started, then each replay. Each ends with a report. */
export interface Segment {
  readonly pins: Pins;
  /** Null while it goes on, or when it was ended by force. */
  readonly signed: SignedReport | null;
}

/** A row of `lethe.partition`. */
export interface PartitionRecord {
  readonly partition: number;
  readonly table: number;
  readonly bounds: string;
  readonly generation: number;
  readonly done: boolean;
  readonly head: string | null;
  /** The replay that copied its rows one by one, by their keys; then it is no range. */
  readonly replay: number | null;
}

/** A row of `lethe.batch`; what its link covers, once it was committed. */
export interface BatchRecord {
  readonly partition: number;
  readonly batch: number;
  readonly table: number;
  readonly state: string;
  /** Null in a row that was never committed. */
  readonly chain: string | null;
  readonly facts: BatchFacts;
  readonly attempt: number;
  /** As `facts.committedAt`. */
  readonly claimedAt: string;
  /** SQLSTATE or error type of its last failure. */
  readonly error: string | null;
}

/** A row of `lethe.quarantine`. */
export interface QuarantineRecord {
  readonly table: number;
  readonly partition: number | null;
  readonly batch: number | null;
  readonly key: string;
  readonly keyHash: string;
  readonly code: string;
  readonly constraint: string | null;
  readonly column: string | null;
  readonly rule: string | null;
  readonly message: string;
  readonly waitsForParent: boolean;
  readonly replayed: boolean;
  /** How it left the quarantine. */
  readonly outcome: string | null;
  /** How often it was taken out of the table again. */
  readonly removed: number;
}

/** A partition with the last link of its chain, '' where it has no batch. */
export interface PartitionHead {
  readonly partition: PartitionRecord;
  readonly link: string;
}

/** SHA-256, hex, of the partitions of a table with their bounds and last links: a run signs one for each table. */
export function partitionsDigest(heads: readonly PartitionHead[]): string {
  const rows = [...heads]
    .sort((a, b) => a.partition.partition - b.partition.partition)
    .map(({ partition: p, link }) => [p.partition, p.table, p.bounds, p.generation, p.done, p.replay, link]);
  return sha256(['lethe/2/partitions', rows]);
}

/** Beginnings of the last links by partition: they prove nothing, they name the partition that differs. */
export function headMarks(heads: readonly PartitionHead[]): Record<string, string> {
  return Object.fromEntries(
    heads.map(({ partition, link }) => [String(partition.partition), link.slice(0, 8)]),
  );
}

/** SHA-256, hex, of a run's quarantine, in an order that does not depend on how it was filled. */
export function quarantineDigest(rows: readonly QuarantineRecord[]): string {
  const texts = rows.map((row) =>
    JSON.stringify([
      row.table,
      row.keyHash,
      row.partition,
      row.batch,
      row.key,
      row.code,
      row.constraint,
      row.column,
      row.rule,
      row.message,
      row.waitsForParent,
      row.replayed,
      row.outcome,
      row.removed,
    ]),
  );
  return sha256(['lethe/2/quarantine', texts.sort()]);
}

/** SHA-256, hex, of all that a run pinned. */
export function pinsDigest(pins: Pins): string {
  return sha256(['lethe/2/pins', canonicalJson(pins)]);
}

function sha256(facts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
