import { tableText } from '../../plan/catalog.js';
import type { BatchRecord, PartitionRecord, QuarantineRecord, RunRecord, Segment } from '../records.js';
import { Findings } from './findings.js';
import { compareCounts, compareHeads, compareRules, compareSigned, type TrustedKey } from './signed.js';
import { type OpenBounds, walkChains } from './walk.js';

/** The ledger of one run, read in one state. */
export interface AuditedLedger {
  readonly run: RunRecord;
  /** The run as it was started and its replays, in order; never empty. */
  readonly segments: readonly Segment[];
  readonly partitions: readonly PartitionRecord[];
  readonly quarantine: readonly QuarantineRecord[];
  /** By partition and number. */
  readonly batches: AsyncIterable<BatchRecord>;
}

/** What an audit may know beside the ledger. */
export interface AuditKeys {
  /** Of the job key, or as somebody noted it when the run ended. */
  readonly trusted?: TrustedKey;
  /** With the job key only. */
  readonly openBounds?: OpenBounds;
}

/**
 * Checks the ledger of a run against itself and its signature: chains, ranges, signed report, rules, counts, quarantine.
 *
 * @param visit Called for every batch that was committed.
 */
export async function auditLedger(
  ledger: AuditedLedger,
  keys: AuditKeys,
  visit?: (batch: BatchRecord) => void,
): Promise<Findings> {
  const findings = new Findings();
  const { run, partitions, batches, quarantine } = ledger;
  const { plan } = ledger.segments.at(-1)!.pins;
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.source)]));
  const nameOf = (table: number) => names.get(table) ?? `table ${table}`;
  const walked = await walkChains(
    {
      ...{ partitions, batches, nameOf, visit },
      complete: run.state === 'complete',
      ...(keys.openBounds && { openBounds: keys.openBounds }),
    },
    findings,
  );
  const signed = compareSigned(run, ledger.segments, keys.trusted, findings);
  for (const { pins } of ledger.segments) compareRules(pins.plan, findings);
  if (!signed) return findings;
  compareHeads(walked.heads, plan, nameOf, signed, findings);
  compareCounts(walked, quarantine, plan, nameOf, signed, findings);
  return findings;
}
