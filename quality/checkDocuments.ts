import type { JobKeys } from '../anonymize/keys.js';
import type { CheckSettings } from '../job/types.js';
import { type CheckRecord, fails } from '../ledger/checks.js';
import type { Pins, RunRow } from '../ledger/types.js';
import type { Connection } from '../mongo/connection.js';
import { insertCheckResult } from '../mongo/ledger/checkResults.js';
import { ledgerOf } from '../mongo/ledger/store.js';
import { type DocumentFacts, readFacts } from '../mongo/validate.js';
import { tableText } from '../plan/catalog.js';
import type { Plan } from '../plan/plan.js';
import { limit } from './budget.js';
import type { Check } from './checks.js';
import { judgeDocuments } from './documents.js';
import { inspectDocuments } from './inspectDocuments.js';
import type { InspectProgress, SealedInspection } from './inspection.js';
import { judgeDrift, judgeGroups, judgeLeakScan, judgeResidual } from './judgeInspection.js';
import { judgeSealed } from './judgeSealed.js';
import { distributionRecords } from './run.js';
import type { SealedBy, SealedColumn } from './sealed.js';
import { mixedFields } from './sealedDocuments.js';

/** Documents of each collection that are transformed again, at most. */
const AGAIN = 1_000;

export interface DocumentsCheck {
  readonly row: Pick<RunRow, 'run' | 'job'>;
  readonly pins: Pins;
  readonly keys: JobKeys;
  readonly settings: CheckSettings;
  /** What sealed values are judged by, where the run sealed any. */
  readonly sealed?: SealedBy;
  readonly origin: CheckRecord['origin'];
  /** At a run's end: 0, or the number of its replay. */
  readonly segment?: number;
  readonly report?: (progress: InspectProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Checks a run over MongoDB, at its end or later, with the source as it is now. The result goes into the ledger, beside
 * those of before.
 */
export async function checkDocuments(
  { row, pins, keys, settings, sealed, origin, segment, report, signal }: DocumentsCheck,
  source: Connection,
  destination: Connection,
): Promise<Check[]> {
  const began = Date.now();
  const task = {
    ...{ run: row.run, plan: pins.plan, keys },
    again: settings.recompute.severity === 'off' ? 0 : Math.min(AGAIN, limit(settings.recompute.rows)),
    followed: limit(settings.constraints.rows),
  };
  const { plan } = pins;
  const facts = await readFacts(task, source, destination);
  const written = new Map(facts.collections.map((one) => [one.table, one.written]));
  const request = { run: row.run, plan, keys, settings, written, sealed, report, signal };
  const inspection = await inspectDocuments(request, source, destination);
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.destination)]));
  const name = (id: number) => names.get(id) ?? String(id);
  const checks = [
    ...judgeDocuments(plan, settings, facts),
    ...judgeLeakScan(settings.leaks.severity, inspection, [...names.values()]),
    ...judgeSealed(
      settings.leaks.severity,
      sealed ? { sealed: sealedInspection(plan, settings, sealed, inspection.sealed, facts) } : {},
      name,
      'fields',
    ),
    ...judgeResidual(settings.residual, inspection, name),
    ...judgeDrift(settings.drift, inspection, name),
    ...judgeGroups(settings, inspection),
  ];
  const record = {
    ...{ run: row.run, job: row.job, origin, checks },
    distributions: distributionRecords(plan, inspection),
    ok: !checks.some(fails),
    seconds: (Date.now() - began) / 1_000,
  };
  await insertCheckResult(ledgerOf(destination), record, segment);
  return checks;
}

function sealedInspection(
  plan: Plan,
  settings: CheckSettings,
  by: SealedBy,
  columns: readonly SealedColumn[],
  { collections }: DocumentFacts,
): SealedInspection {
  const off = settings.recompute.severity === 'off' ? 'checks.recompute is off' : undefined;
  const unopened = by.unopened ?? off;
  return {
    columns,
    mixed: mixedFields(plan, by),
    opened: collections.reduce((sum, { again }) => sum + again.opened, 0),
    ...(unopened !== undefined && { unopened }),
  };
}
