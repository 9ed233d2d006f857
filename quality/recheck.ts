import type { SealingKeys } from '../anonymize/sealing.js';
import type { CheckSettings } from '../job/types.js';
import { fails } from '../ledger/checks.js';
import type { Pins, RunRow } from '../ledger/types.js';
import { insertCheckResult, snapshotOfRun } from '../postgres/ledger/checkResults.js';
import type { Session } from '../postgres/session.js';
import { readRunFacts } from '../postgres/validate.js';
import type { Check } from './checks.js';
import type { InspectProgress } from './inspection.js';
import { distributionRecords, judge } from './run.js';
import type { SealedBy } from './sealed.js';
import { type InspectTask, inspectRun } from './task.js';

export interface RecheckOptions {
  readonly row: RunRow;
  readonly pins: Pins;
  /** Of the job file as it is now. */
  readonly settings: CheckSettings;
  readonly sourceUrl: string;
  readonly destinationUrl: string;
  /** 32 bytes. */
  readonly jobKey: Uint8Array;
  /** Where the run sealed values: what they are judged by, and the day keys as far as they are at hand. */
  readonly sealed?: { readonly sealed: SealedBy; readonly sealing?: SealingKeys };
  readonly report: (progress: InspectProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * Checks a run that has ended once more, with the source as it is now: rows that changed there since are told from rows
 * that do not match. The result goes into the ledger, beside those of before.
 */
export async function recheck(session: Session, options: RecheckOptions): Promise<Check[]> {
  const { row, pins, settings } = options;
  const began = Date.now();
  const facts = await readRunFacts(session, row.run, pins.plan);
  const changedSince = await snapshotOfRun(session, row.run);
  const task: InspectTask = {
    run: row.run,
    applicationName: `lethe:${row.run}/validate`,
    source: { url: options.sourceUrl, encoding: pins.source.encoding },
    destination: { url: options.destinationUrl },
    jobKey: options.jobKey,
    ...options.sealed,
    plan: pins.plan,
    settings,
    runTime: pins.runTime,
    snapshots: 'now',
    written: facts.tables.map(({ table, written }) => [table, written]),
    // Without its state nobody can tell what changed since.
    unsteady: changedSince === undefined ? pins.plan.tables.map(({ id }) => id) : [],
    ...(changedSince !== undefined && { changedSince }),
  };
  const inspection = await inspectRun(task, options.report, options.signal);
  const checks = judge(pins.plan, settings, facts, inspection);
  await insertCheckResult(session, {
    run: row.run,
    job: row.job,
    origin: 'validate',
    ok: !checks.some(fails),
    seconds: (Date.now() - began) / 1000,
    ...(inspection.snapshot !== undefined && { sourceSnapshot: inspection.snapshot }),
    checks,
    distributions: distributionRecords(pins.plan, inspection),
  });
  return checks;
}
