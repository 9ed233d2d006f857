import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import type { Plan, TablePlan } from '../../plan/plan.js';

/** Bytes of the keyed digest of one row. */
export const DIGEST_BYTES = 16;

/** Where the digest of a record stands among those of a run. */
export interface EvidencePlace {
  readonly partition: number;
  readonly batch: number;
  /** 0, 1, … in the order in which the batch was read. */
  readonly row: number;
}

/**
 * `same`: the run read exactly this row. `different`: it did not: the row was changed or put in since, or left out by a
 * condition then. `missing`: the source has no such record now.
 */
export interface RowAudit {
  readonly table: string;
  readonly result: 'same' | 'different' | 'missing';
  readonly place?: EvidencePlace;
  /** Why the run did not write it, when it is in quarantine. */
  readonly quarantined?: string;
}

/**
 * @param plans Of the run as it was started, and of its replays.
 * @throws LetheError `JobInvalid` when the run kept no digests of single rows.
 */
export function refuseNoEvidence(plans: readonly Plan[]): void {
  if (plans.some(({ execution }) => execution.evidence === 'row')) return;
  throw new LetheError(
    'JobInvalid',
    'This run kept digests of whole batches only. Single records can be checked in runs of a job that says `evidence: row`.',
  );
}

/**
 * That a record has no digest says something only where all records of its table have one.
 *
 * @param plans Of the run as it was started, and of its replays.
 * @throws LetheError `JobInvalid` when some of the table's records have none.
 */
export function refuseSomeEvidence(plans: readonly Plan[], table: TablePlan): void {
  const name = tableText(table.source);
  if (plans.some(({ execution }) => execution.evidence !== 'row')) {
    throw new LetheError(
      'JobInvalid',
      `A part of this run, or a replay of it, kept digests of whole batches only, and this record of ${name} has no digest of its own: nothing says whether it is what the run read.`,
    );
  }
  if (table.collection?.pushdown) {
    throw new LetheError(
      'JobInvalid',
      `${name} was pushed down: no worker saw its documents, and this one has no digest, so nothing says whether it is what the run read.`,
    );
  }
}

/** Row digests then and now, whatever their order. */
export function compareEvidence(then: Buffer, now: Buffer): { kept: number; gone: number; came: number } {
  const left = new Map<string, number>();
  for (let at = 0; at < then.length; at += DIGEST_BYTES) {
    const digest = then.toString('latin1', at, at + DIGEST_BYTES);
    left.set(digest, (left.get(digest) ?? 0) + 1);
  }
  let kept = 0;
  for (let at = 0; at < now.length; at += DIGEST_BYTES) {
    const digest = now.toString('latin1', at, at + DIGEST_BYTES);
    const count = left.get(digest) ?? 0;
    if (count === 0) continue;
    left.set(digest, count - 1);
    kept++;
  }
  return { kept, gone: then.length / DIGEST_BYTES - kept, came: now.length / DIGEST_BYTES - kept };
}

/** The place of a digest in the evidence of a batch, 0 and up; -1 where it is not there. */
export function placeOf(evidence: Buffer, digest: Buffer): number {
  let at = evidence.indexOf(digest);
  while (at >= 0 && at % DIGEST_BYTES !== 0) at = evidence.indexOf(digest, at + 1);
  return at < 0 ? -1 : at / DIGEST_BYTES;
}
