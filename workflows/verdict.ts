import { ApplicationFailure } from '@temporalio/workflow';
import type { RunVerdict } from '../activities/types.js';
import { fails } from '../ledger/checks.js';

/** @throws ApplicationFailure `ValidationFailed` or `RowsQuarantined` unless every row arrived and every check passed. */
export function refuseVerdict(verdict: RunVerdict, run: string): void {
  const failed = verdict.checks.filter(fails);
  if (failed.length > 0) {
    throw ApplicationFailure.nonRetryable(
      `Validation failed: ${failed.map(({ message }) => sentence(message)).join('; ')}.`,
      'ValidationFailed',
    );
  }
  if (verdict.quarantined.length > 0) {
    const lines = verdict.quarantined.map(
      ({ table, count, reason }) => `${table}: ${count} × ${sentence(reason)}`,
    );
    throw ApplicationFailure.nonRetryable(
      `Rows are in quarantine, all others are loaded. ${lines.join('; ')}. Mend the cause (the data at the source, a constraint of the destination, or the job file) and replay just these rows: \`lethe replay ${run}\`, with \`--job FILE\` for a corrected job.`,
      'RowsQuarantined',
    );
  }
}

/** Without its full stop, to stand in a list. */
function sentence(text: string): string {
  return text.replace(/\.$/, '');
}
