import type { Signer } from '../crypto/sign.js';
import { canonicalJson } from '../plan/json.js';
import { headsDigest } from './chain.js';
import type { CheckResult } from './checks.js';
import {
  headMarks,
  type PartitionHead,
  partitionsDigest,
  pinsDigest,
  type QuarantineRecord,
  quarantineDigest,
} from './records.js';
import type { Pins, RunState } from './types.js';

/** What is kept of a run when it ends, and signed. Names, counts and our own texts; no value of any row. */
export interface RunReport {
  /** Form of what is signed; earlier reports have none. */
  readonly format?: 2;
  readonly run: string;
  readonly job: string;
  readonly state: RunState;
  readonly runTime: string;
  /** All times in ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly endedAt: string;
  readonly mode?: string;
  /** Hash of the rules as resolved. */
  readonly ruleSet: string;
  /** Digest over the last links of all partitions' hash chains. */
  readonly heads: string;
  /** Digest of everything that the run pinned. */
  readonly pins?: string;
  /** Digest of the rows in quarantine. */
  readonly quarantine?: string;
  readonly tables: readonly ReportedTable[];
  readonly quarantined: readonly {
    readonly table: string;
    readonly count: number;
    readonly reason: string;
  }[];
  readonly checks: readonly CheckResult[];
  /** Type and message of what ended it, unless it is complete. */
  readonly error?: { readonly type: string; readonly message: string };
  /** Of a replay: its number, the rows that left the quarantine, and the SHA-256, hex, of the signature before it. */
  readonly replay?: {
    readonly n: number;
    readonly copied: number;
    readonly gone: number;
    readonly previous: string;
  };
  /** Tables emptied and keys left owed by putting things back. */
  readonly restored?: { readonly emptied: readonly string[]; readonly owed: readonly string[] };
}

export interface ReportedTable {
  readonly name: string;
  readonly rows: number;
  readonly quarantined: number;
  /** Digest of its partitions: bounds and last links. */
  readonly partitions?: string;
  /** Beginning of the last link by partition, so that one which differs can be named. */
  readonly heads?: Readonly<Record<string, string>>;
}

/** The text that a run's signature covers. A database need not keep the order of a report's keys. */
export function reportText(report: RunReport): string {
  return report.format === 2 ? `lethe/2/report\n${canonicalJson(report)}` : firstForm(report);
}

/** Reports were signed in the order in which their keys are written here. */
function firstForm(report: RunReport): string {
  const { run, job, runTime, ruleSet, heads, state, endedAt, error, restored } = report;
  const text = JSON.stringify({
    ...{ run, job, runTime, ruleSet, heads, state, endedAt },
    tables: report.tables.map(({ name, rows, quarantined }) => ({ name, rows, quarantined })),
    quarantined: report.quarantined.map(({ table, count, reason }) => ({ table, count, reason })),
    checks: report.checks.map(({ name, ok, message }) => ({ name, ok, message })),
    error: error && { type: error.type, message: error.message },
    restored: restored && { emptied: restored.emptied, owed: restored.owed },
  });
  return `lethe/1/report\n${text}`;
}

/** Signs a report with the job's signing key. */
export function signReport(report: RunReport, signer: Signer): { signature: string; publicKey: string } {
  return { signature: signer.sign(reportText(report)), publicKey: signer.publicKey };
}

/** What of the ledger a report covers. */
export interface ReportedLedger {
  readonly run: string;
  readonly mode: string;
  readonly startedAt: string;
  readonly pins: Pins;
  readonly heads: readonly PartitionHead[];
  readonly quarantine: readonly QuarantineRecord[];
}

/** The parts of a report that do not depend on how the run ended. */
export function reportBase(
  ledger: ReportedLedger,
): Pick<
  RunReport,
  'format' | 'run' | 'job' | 'mode' | 'runTime' | 'startedAt' | 'ruleSet' | 'heads' | 'pins' | 'quarantine'
> {
  const { run, mode, startedAt, pins, heads, quarantine } = ledger;
  return {
    ...{
      format: 2,
      run,
      mode,
      startedAt,
      job: pins.plan.job,
      runTime: pins.runTime,
      ruleSet: pins.plan.ruleSet,
    },
    heads: headsDigest(new Map(heads.map(({ partition, link }) => [partition.partition, link]))),
    pins: pinsDigest(pins),
    quarantine: quarantineDigest(quarantine),
  };
}

/** What a report says of the partitions of one table. */
export function reportedPartitions(
  heads: readonly PartitionHead[],
  table: number,
): Pick<ReportedTable, 'partitions' | 'heads'> {
  const own = heads.filter(({ partition }) => partition.table === table);
  return { partitions: partitionsDigest(own), heads: headMarks(own) };
}
