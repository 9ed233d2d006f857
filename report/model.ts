import { type AuditedLedger, type AuditKeys, auditLedger } from '../ledger/audit/audit.js';
import type { AuditFinding, CheckOutcome } from '../ledger/audit/findings.js';
import type { QuarantineRecord } from '../ledger/records.js';
import type { RunReport } from '../ledger/report.js';
import { tableText } from '../plan/catalog.js';
import { type PlanSummary, planSummary } from '../plan/summary.js';
import { type BatchSpan, BatchTotals, type RuleCount, type TableTotal } from './totals.js';

/** What `lethe report` says of a run: names, counts, digests and our own texts. No value of any row. */
export interface ReportModel {
  readonly run: string;
  readonly job: string;
  readonly mode: string;
  readonly state: string;
  /** Times in ISO 8601, UTC. */
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly runTime: string;
  readonly plan: PlanSummary;
  readonly ruleSet: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly tables: readonly TableTotal[];
  readonly rules: readonly RuleCount[];
  readonly checks: readonly ReportedCheck[];
  /** When the checks that are shown were made, and by what. */
  readonly checked?: { readonly at: string; readonly origin: string; readonly seconds: number };
  readonly distributions: readonly ReportedDistribution[];
  readonly timeline: readonly BatchSpan[];
  readonly failures: Failures;
  readonly evidence: Evidence;
}

/** A check as its maker left it; what is not known of it is left out. */
export interface ReportedCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
  readonly severity?: string;
  readonly table?: string;
  readonly column?: string;
  readonly observed?: number;
  readonly expected?: number;
}

/** A column before and after: counts only. */
export interface ReportedDistribution {
  readonly table: string;
  readonly column: string;
  readonly source: ColumnCounts;
  readonly destination: ColumnCounts;
  /** 0 (alike) to 1. */
  readonly distance?: number;
}

export interface ColumnCounts {
  readonly rows: number;
  readonly nulls: number;
  readonly distinct: number;
  readonly length?: { readonly least: number; readonly most: number; readonly mean: number };
  /** How often the most frequent values occur, most frequent first. */
  readonly top: readonly number[];
}

export interface Failures {
  readonly error?: { readonly type: string; readonly message: string };
  readonly quarantined: readonly {
    readonly table: string;
    readonly count: number;
    readonly reason: string;
  }[];
  /** Batches that are not committed, by error. */
  readonly batches: readonly { readonly table: string; readonly error: string; readonly count: number }[];
  readonly replays: readonly { readonly n: number; readonly endedAt: string; readonly state: string }[];
  readonly replayedRows: number;
  readonly emptied: readonly string[];
  readonly owed: readonly string[];
}

export interface Evidence {
  readonly checks: readonly CheckOutcome[];
  readonly findings: readonly AuditFinding[];
  readonly heads?: string;
  readonly publicKey?: string;
  readonly signature?: string;
}

/** What the destination keeps of a run's checks. */
export interface CheckHistory {
  readonly checkedAt: string;
  readonly origin: string;
  readonly seconds: number;
  readonly checks: readonly ReportedCheck[];
  readonly distributions: readonly StoredDistribution[];
}

/** With its table's name, or its id in the plan. */
export interface StoredDistribution extends Omit<ReportedDistribution, 'table' | 'distance'> {
  readonly table: number | string;
  readonly drift?: { readonly distance?: number };
}

/** Puts together what a run's ledger says, in one pass over its batches; the ledger is verified on the way. */
export async function reportModel(
  ledger: AuditedLedger,
  keys: AuditKeys,
  history: CheckHistory | undefined,
): Promise<ReportModel> {
  const { run, segments, quarantine } = ledger;
  const { plan } = segments.at(-1)!.pins;
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.source)]));
  const nameOf = (id: number) => names.get(id) ?? `table ${id}`;
  const totals = new BatchTotals(nameOf);
  const findings = await auditLedger({ ...ledger, batches: totals.see(ledger.batches) }, keys);
  const signed = segments.at(-1)?.signed ?? run.signed;
  const report = signed?.report;
  const quarantinedOf = (id: number) => quarantine.filter((row) => row.table === id && !row.replayed).length;
  return {
    run: run.run,
    job: run.job,
    mode: run.mode,
    state: run.state,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    runTime: run.pins.runTime,
    plan: planSummary(plan),
    ruleSet: plan.ruleSet,
    versions: plan.versions,
    tables: plan.tables.map(({ id }) => totals.table(id, quarantinedOf(id))),
    rules: totals.rules(),
    checks: history?.checks ?? report?.checks ?? [],
    ...(history && { checked: { at: history.checkedAt, origin: history.origin, seconds: history.seconds } }),
    distributions: (history?.distributions ?? []).map(({ table, drift, ...rest }) => ({
      ...rest,
      table: typeof table === 'number' ? nameOf(table) : table,
      ...(drift?.distance !== undefined && { distance: drift.distance }),
    })),
    timeline: totals.spans(),
    failures: {
      ...(report?.error && { error: report.error }),
      quarantined: reasons(quarantine, nameOf),
      batches: totals.unfinished(),
      replays: segments
        .slice(1)
        .flatMap(({ signed: of }, i) =>
          of ? [{ n: i + 1, endedAt: of.report.endedAt, state: of.report.state }] : [],
        ),
      replayedRows: quarantine.filter(({ replayed }) => replayed).length,
      ...restored(report),
    },
    evidence: {
      checks: findings.outcomes(),
      findings: findings.list(),
      ...(report && { heads: report.heads }),
      ...(signed?.publicKey && { publicKey: signed.publicKey }),
      ...(signed?.signature && { signature: signed.signature }),
    },
  };
}

function restored(report: RunReport | undefined): Pick<Failures, 'emptied' | 'owed'> {
  return { emptied: report?.restored?.emptied ?? [], owed: report?.restored?.owed ?? [] };
}

/** Rows in quarantine by table and reason, most first. */
function reasons(rows: readonly QuarantineRecord[], nameOf: (id: number) => string): Failures['quarantined'] {
  const counts = new Map<string, { table: string; count: number; reason: string }>();
  for (const { table, message, replayed } of rows) {
    if (replayed) continue;
    const key = `${table} ${message}`;
    const known = counts.get(key) ?? { table: nameOf(table), count: 0, reason: message };
    known.count++;
    counts.set(key, known);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || (a.table < b.table ? -1 : 1));
}
