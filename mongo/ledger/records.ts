import { LetheError } from '../../errors/errors.js';
import type { AuditedLedger } from '../../ledger/audit/audit.js';
import type { BatchRecord, RunRecord, Segment, SignedReport } from '../../ledger/records.js';
import type { RunReport } from '../../ledger/report.js';
import { isOpen } from '../../ledger/states.js';
import type { Pins } from '../../ledger/types.js';
import type { Plan } from '../../plan/plan.js';
import { evidenceDigest } from './evidence.js';
import { readPins, readRun } from './runs.js';
import type { BatchDocument, Ledger, ReplayDocument, RunDocument } from './store.js';
import { partitionRecords, quarantineRecords } from './summary.js';

/**
 * The ledger of a run, for an audit or a report. There is no one state of it while the run goes on;
 * where a replay begins meanwhile, its batches end with `DestinationBusy`.
 */
export async function readLedgerOf(ledger: Ledger, id: string): Promise<AuditedLedger> {
  const run = await readRunRecord(ledger, id);
  return {
    run,
    segments: await readSegments(ledger, run),
    partitions: await partitionRecords(ledger, id),
    quarantine: await quarantineRecords(ledger, id),
    batches: readBatches(ledger, run),
  };
}

async function readRunRecord(ledger: Ledger, id: string): Promise<RunRecord> {
  const { run, job, mode, state, startedAt, endedAt } = await readRun(ledger, id);
  const found = await ledger.runs.findOne({ _id: id });
  return {
    ...{ run, job, mode, state, startedAt },
    endedAt: endedAt ?? null,
    pins: await readPins(ledger, id),
    signed: found && toSigned(found),
  };
}

function toSigned({
  report,
  signature,
  publicKey,
}: Pick<RunDocument & ReplayDocument, 'report' | 'signature' | 'publicKey'>): SignedReport | null {
  if (report === undefined) return null;
  return {
    report: JSON.parse(report) as RunReport,
    signature: signature ?? null,
    publicKey: publicKey ?? null,
  };
}

/** The run as it was started and its replays, in order. A replay keeps the report that it follows. */
async function readSegments({ replays }: Ledger, run: RunRecord): Promise<Segment[]> {
  const found = await replays.find({ run: run.run }).sort({ n: 1 }).toArray();
  const pins = found.map(
    ({ plan, jobText }): Pins => ({ ...run.pins, plan: JSON.parse(plan) as Plan, jobText }),
  );
  // While a replay goes on, the run still bears the report that it follows.
  const goesOn = isOpen(run.state) && found.at(-1)?.signature === run.signed?.signature;
  const signed = [...found.map(toSigned), goesOn ? null : run.signed];
  return [run.pins, ...pins].map((of, i) => ({ pins: of, signed: signed[i] ?? null }));
}

async function* readBatches(ledger: Ledger, record: RunRecord): AsyncGenerator<BatchRecord> {
  const { run } = record;
  // Not by what was pinned: a replay under a corrected job may have kept digests, or not.
  const kept = (await ledger.evidence.findOne({ run }, { projection: { _id: 1 } })) !== null;
  for await (const batch of ledger.batches.find({ run }).sort({ partition: 1, batch: 1 })) {
    yield toRecord(batch, kept ? await evidenceDigest(ledger, batch) : '');
  }
  await refuseReplayed(ledger, record);
}

/** A run that has ended changes by a replay only: then its report and its batches are of two states. */
async function refuseReplayed(ledger: Ledger, { run, state, signed }: RunRecord): Promise<void> {
  if (isOpen(state)) return;
  const now = await ledger.runs.findOne({ _id: run }, { projection: { state: 1, signature: 1 } });
  if (now && !isOpen(now.state) && (now.signature ?? null) === (signed?.signature ?? null)) return;
  throw new LetheError(
    'DestinationBusy',
    `A replay of run ${run} began while its ledger was read, which is therefore not of one state. Do this again when the replay is over.`,
  );
}

function toRecord(found: BatchDocument, evidence: string): BatchRecord {
  const { run, partition, batch, table, bounds } = found;
  const committedAt = (found.committedAt ?? found.claimedAt).toISOString();
  return {
    ...{ partition, batch, table, state: found.state, chain: found.chain ?? null },
    facts: {
      ...{ run, partition, batch, table, bounds, generation: 1, committedAt },
      rows: found.rows ?? 0,
      quarantined: found.quarantined ?? 0,
      bytes: found.bytes ?? 0,
      rules: JSON.parse(found.rules ?? '{}') as Record<string, number>,
      leaks: JSON.parse(found.leaks ?? '{}') as Record<string, number>,
      sourceDigest: found.sourceDigest ?? '',
      outputDigest: found.outputDigest ?? '',
      evidenceDigest: evidence,
    },
    attempt: found.attempt,
    claimedAt: found.claimedAt.toISOString(),
    error: found.error ?? null,
  };
}
