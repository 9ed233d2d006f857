import type { JobKeys } from '../anonymize/keys.js';
import type { CheckSettings } from '../job/types.js';
import { type CheckRecord, fails } from '../ledger/checks.js';
import type { Pins, RunRow } from '../ledger/types.js';
import type { Connection } from '../mongo/connection.js';
import { insertCheckResult } from '../mongo/ledger/checkResults.js';
import { ledgerOf } from '../mongo/ledger/store.js';
import { readFacts } from '../mongo/validate.js';
import { limit } from './budget.js';
import type { Check } from './checks.js';
import { judgeDocuments } from './documents.js';
import type { InspectProgress } from './inspection.js';

/** Documents of each collection that are transformed again, at most. */
const AGAIN = 1_000;

export interface DocumentsCheck {
  readonly row: Pick<RunRow, 'run' | 'job'>;
  readonly pins: Pins;
  readonly keys: JobKeys;
  readonly settings: CheckSettings;
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
  { row, pins, keys, settings, origin, segment }: DocumentsCheck,
  source: Connection,
  destination: Connection,
): Promise<Check[]> {
  const began = Date.now();
  const task = {
    ...{ run: row.run, plan: pins.plan, keys },
    again: settings.recompute.severity === 'off' ? 0 : Math.min(AGAIN, limit(settings.recompute.rows)),
    followed: limit(settings.constraints.rows),
  };
  const checks = judgeDocuments(pins.plan, settings, await readFacts(task, source, destination));
  const record = {
    ...{ run: row.run, job: row.job, origin, checks, distributions: [] },
    ok: !checks.some(fails),
    seconds: (Date.now() - began) / 1_000,
  };
  await insertCheckResult(ledgerOf(destination), record, segment);
  return checks;
}
