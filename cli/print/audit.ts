import type { RowAudit } from '../../ledger/audit/evidence.js';
import type { CheckOutcome } from '../../ledger/audit/findings.js';
import type { Audit } from '../audits.js';
import { paint, table } from '../terminal.js';

const MARKS: Record<CheckOutcome['result'], string> = {
  ok: paint.green('✓'),
  mismatch: paint.red('✗'),
  changed: paint.yellow('~'),
  unchecked: paint.dim('?'),
};

const KINDS = [
  ['mismatch', 'Does not match', paint.red('✗')],
  ['changed', 'Changed at the source since', paint.yellow('~')],
  ['unchecked', 'Not checked', paint.dim('?')],
] as const;

/** An audit for people: what was looked at, then what was found, the worst first. */
export function auditText(audit: Audit): string {
  const lines = [
    `${paint.bold(`Run ${audit.run}`)} of ${audit.job}: ${audit.state}`,
    table(
      [{ head: '' }, { head: 'check' }, { head: 'looked at' }],
      audit.checks.map(({ check, result, message }) => [MARKS[result], check, message]),
    ),
  ];
  for (const [kind, title, mark] of KINDS) {
    const found = audit.findings.filter((one) => one.kind === kind);
    if (found.length === 0) continue;
    lines.push(paint.bold(title), ...found.map(({ message }) => `  ${mark} ${message}`));
  }
  if (audit.row) lines.push(rowText(audit.row));
  lines.push(
    audit.ok
      ? `${paint.green('✓')} Nothing contradicts the ledger.`
      : `${paint.red('✗')} The ledger of this run was changed, or is not what it says. What it says about the run cannot be relied on.`,
  );
  return lines.join('\n');
}

function rowText({ table: name, result, place, quarantined }: RowAudit): string {
  const lines = {
    same: `${paint.green('✓')} The record of ${name} is, byte by byte, what the run read${place ? ` (partition ${place.partition}, batch ${place.batch}, row ${place.row + 1})` : ''}.`,
    different: `${paint.yellow('~')} The record of ${name} is not what the run read: it was changed or put in since, or a condition left it out then.`,
    missing: `${paint.yellow('~')} The source has no record of ${name} with this key now.`,
  };
  return [lines[result], ...(quarantined ? [`  It went to quarantine: ${quarantined}`] : [])].join('\n');
}
