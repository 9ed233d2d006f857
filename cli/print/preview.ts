import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import type { PreviewRow, PreviewValue } from '../../postgres/preview.js';
import { paint, table, terminalWidth } from '../terminal.js';
import { specText } from './spec.js';

/** Rows before and after, one below the other; columns that are kept are left out of all rows but the first. */
export function previewText(plan: TablePlan, rows: readonly PreviewRow[]): string {
  const blocks = rows.flatMap((row, i) => {
    const shown = row.columns.filter((value) => i === 0 || specOf(value).name !== 'keep');
    if (shown.length === 0) return [];
    return table(
      [
        { head: 'column', width: 22 },
        { head: 'before', width: Math.floor((terminalWidth() - 30) / 3) },
        { head: 'after', width: Math.floor((terminalWidth() - 30) / 3) },
        { head: 'rule' },
      ],
      shown.map((value) => [value.column, cell(value.before), afterCell(value), ruleText(value, plan)]),
      { breakWords: true },
    );
  });
  return `${paint.bold(tableText(plan.source))}\n${blocks.join('\n\n')}`;
}

function specOf({ branch, otherwise }: PreviewValue) {
  return otherwise && branch.otherwise ? branch.otherwise : branch.apply;
}

function afterCell(value: PreviewValue): string {
  if (value.after === undefined) return paint.red(`refused: ${value.refused}`);
  if (value.after === value.before) return paint.dim(cell(value.after));
  return paint.green(cell(value.after));
}

function ruleText(value: PreviewValue, plan: TablePlan): string {
  const { branch, otherwise } = value;
  const when =
    branch.when === undefined ? '' : ` (${otherwise ? 'not ' : ''}${plan.conditions[branch.when]})`;
  return `${branch.rule}: ${specText(specOf(value))}${when}`;
}

/** Longest value shown in full. */
const LONGEST = 200;

function cell(text: string | null): string {
  if (text === null) return 'NULL';
  const plain = text.replace(/\p{Cc}/gu, (control) => JSON.stringify(control).slice(1, -1));
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST)}…` : plain;
}
