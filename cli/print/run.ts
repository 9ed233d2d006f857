import type { RunVerdict } from '../../activities/types.js';
import { type CheckResult, warns } from '../../ledger/checks.js';
import { count, counted, paint, table } from '../terminal.js';

/** Checks and quarantine of a run that has ended. */
export function verdictText(verdict: RunVerdict): string {
  const lines = verdict.checks.map((check) => `  ${checkMark(check)} ${check.message}`);
  if (verdict.quarantined.length > 0) {
    lines.push(
      table(
        [{ head: 'table', width: 36 }, { head: 'rows', right: true }, { head: 'in quarantine because' }],
        verdict.quarantined.map(({ table: name, count: rows, reason }) => [name, count(rows), reason]),
      ),
    );
  }
  return lines.join('\n');
}

/** ✓, ! or ✗. */
export function checkMark(check: Pick<CheckResult, 'ok' | 'severity'>): string {
  if (check.ok) return paint.green('✓');
  return warns(check) ? paint.yellow('!') : paint.red('✗');
}

export interface TableCount {
  readonly name: string;
  readonly rows: number;
  readonly quarantined: number;
}

/** Rows by table, and in all. */
export function countsText(tables: readonly TableCount[]): string {
  const rows = tables.reduce((sum, one) => sum + one.rows, 0);
  const quarantined = tables.reduce((sum, one) => sum + one.quarantined, 0);
  return table(
    [
      { head: 'table', width: 60 },
      { head: 'rows', right: true },
      { head: 'quarantined', right: true },
    ],
    [
      ...tables.map((one) => [
        one.name,
        count(one.rows),
        one.quarantined === 0 ? '' : count(one.quarantined),
      ]),
      [
        paint.bold(counted(tables.length, 'table')),
        paint.bold(count(rows)),
        quarantined === 0 ? '' : count(quarantined),
      ],
    ],
  );
}
