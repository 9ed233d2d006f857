import type { JobKeys } from '../../anonymize/keys.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import type { BatchRecord, QuarantineRecord } from '../records.js';
import type { Pins } from '../types.js';
import { compareEvidence, type EvidencePlace, type RowAudit, refuseSomeEvidence } from './evidence.js';

/** A run that an audit compares with a source as it is now; `Source` says how an engine reaches it. */
export interface ComparedRun<Source> {
  readonly source: Source;
  /** What the run, and each replay of it, worked by. */
  readonly pins: readonly Pins[];
  readonly keys: JobKeys;
  readonly run: string;
}

export interface ComparedSample<Source> extends ComparedRun<Source> {
  /** Committed batches that are read again. */
  readonly batches: readonly BatchRecord[];
  /** The digests of a batch's records, where it has any. */
  evidence(batch: BatchRecord): Promise<Buffer | undefined>;
}

export interface ComparedRecord<Source> extends ComparedRun<Source> {
  readonly table: TablePlan;
  /** A text for each key column, compared by the source; of a document its `_id`, of whichever type, or extended JSON. */
  readonly key: readonly string[];
  /** The batch of the table whose evidence holds a record's digest. */
  find(table: number, digest: Buffer): Promise<EvidencePlace | undefined>;
  readonly quarantine: readonly QuarantineRecord[];
}

/** A record as the source has it: its digest as evidence has it, and the keyed hash of its key as the quarantine has it. */
export interface FoundRecord {
  readonly digest: Buffer;
  readonly keyHash: string;
}

/**
 * Whether a record is what the run read.
 *
 * @param found Undefined where the source has no such record.
 * @throws LetheError `JobInvalid` when the run has no digest of it, and others of its table have none either.
 */
export async function judgeRecord(
  options: ComparedRecord<unknown>,
  found: FoundRecord | undefined,
): Promise<RowAudit> {
  const { table, pins, quarantine } = options;
  const name = tableText(table.source);
  if (!found) return { table: name, result: 'missing' };
  const place = await options.find(table.id, found.digest);
  const waiting = quarantine.find(
    (entry) => entry.table === table.id && entry.keyHash === found.keyHash && !entry.replayed,
  );
  if (!place) {
    refuseSomeEvidence(
      pins.map(({ plan }) => plan),
      table,
    );
  }
  return {
    table: name,
    result: place ? 'same' : 'different',
    ...(place && { place }),
    ...(waiting && { quarantined: waiting.message }),
  };
}

/** A batch by its table, for people. */
export function batchText({ batch, partition }: BatchRecord, { source }: TablePlan): string {
  return `Batch ${batch} of partition ${partition} (${tableText(source)})`;
}

/** The same as findings have it. */
export function batchPlace({ batch, partition }: BatchRecord, { source }: TablePlan) {
  return { table: tableText(source), partition, batch };
}

/** What became of a batch at the source. */
export interface BatchNow {
  readonly rows: number;
  readonly evidence: Buffer;
}

/**
 * Says what was changed at the source since a batch was read, as exactly as its digests allow.
 *
 * @param then Digests of its records; undefined where it has none.
 */
export function describeChange(
  noun: 'rows' | 'documents',
  { facts }: BatchRecord,
  now: BatchNow,
  then: Buffer | undefined,
): string {
  if (!then) {
    const before = facts.rows + facts.quarantined;
    const counts = before === now.rows ? `${before} ${noun}` : `${before} ${noun} then, ${now.rows} now`;
    // A document keeps its _id, so that none comes into the range of another batch.
    const changed = noun === 'rows' ? 'changed, moved, deleted' : 'changed, deleted';
    return `${noun} were ${changed} or put in since (${counts}).`;
  }
  const { kept, gone, came } = compareEvidence(then, now.evidence);
  if (gone === 0 && came === 0) return `all ${kept} ${noun} are as they were, in another order.`;
  return `${kept} ${noun} are as they were; changed or deleted since: ${gone}; changed or put in since: ${came}.`;
}
