import type { Job } from '../../job/types.js';
import { type Catalog, tableText } from '../../plan/catalog.js';
import { columnLine } from '../../plan/draft.js';
import type { ColumnPlan, DomainPlan, Finding, Plan, TablePlan } from '../../plan/plan.js';
import { findingText } from '../../plan/refuse.js';
import { Advisor } from '../../plan/suggest.js';
import { bytes, count, counted, duration, paint, table, terminalWidth } from '../terminal.js';
import { branchTexts, specText } from './spec.js';

/** The plan for people: what would be read, what happens to it, what is proved, and what is left to decide. */
export function planText(plan: Plan, job: Job, source: Catalog): string {
  const parts = [
    head(plan, job),
    section('Tables, in the order of their references', orderText(plan)),
    ...plan.tables.map(columnsText),
    section('Domains: columns in which equal values stay equal', domainsText(plan)),
    section(
      'Uniqueness',
      findingsText(plan, 'note', (finding) => finding.code === 'unique'),
    ),
    section(
      'Notes',
      findingsText(plan, 'note', (finding) => finding.code !== 'unique'),
    ),
    section(
      'Warnings',
      findingsText(plan, 'warning', () => true),
    ),
    section(
      'Refused',
      findingsText(plan, 'refusal', (finding) => finding.code !== 'undecided-column'),
    ),
    section('Undecided columns: paste, then look at each line', undecidedText(plan, source)),
    verdict(plan),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function head(plan: Plan, job: Job): string {
  const rows = plan.tables.reduce((sum, one) => sum + Math.max(0, one.rows), 0);
  const size = plan.tables.reduce((sum, one) => sum + one.bytes, 0);
  const { connections, snapshot } = job.source;
  return [
    `${paint.bold(`Plan of ${plan.job}`)}: database ${plan.source.name} → ${plan.destination.name}, ${plan.mode}, consistency ${plan.consistency}`,
    `${counted(plan.tables.length, 'table')}, about ${counted(rows, 'row')}, ${bytes(size)}`,
    `Limits on the source: ${counted(connections, 'connection')}, a snapshot held for at most ${duration(snapshot.maxAgeSeconds)}`,
    `At once: ${counted(plan.execution.concurrency, 'partition')}, in batches of ${count(plan.execution.batchRows)} rows`,
    `Rows that cannot be written: ${failureText(plan)}`,
  ].join('\n');
}

function failureText({ execution: { onFailure } }: Plan): string {
  if (onFailure.kind === 'fail') return 'the run fails at the first';
  const limit =
    onFailure.share !== undefined ? `${onFailure.share * 100}% of a table` : count(onFailure.rows ?? 0);
  const wait =
    onFailure.waitSeconds === undefined
      ? ''
      : `; the run waits ${duration(onFailure.waitSeconds)} for a replay`;
  return `quarantined, up to ${limit}${wait}`;
}

function section(title: string, body: string): string {
  return body === '' ? '' : `${paint.bold(title)}\n${body}`;
}

function orderText(plan: Plan): string {
  const layerOf = new Map(plan.order.flatMap((ids, layer) => ids.map((id) => [id, layer + 1] as const)));
  const cycleOf = new Map(plan.cycles.flatMap((ids, i) => ids.map((id) => [id, i + 1] as const)));
  const ordered = [...plan.tables].sort(
    (a, b) => (layerOf.get(a.id) ?? 0) - (layerOf.get(b.id) ?? 0) || a.id - b.id,
  );
  return table(
    [
      { head: 'layer', right: true },
      { head: 'table', width: 40 },
      { head: 'rows', right: true },
      { head: 'size', right: true },
      { head: 'partitioned by' },
    ],
    ordered.map((one) => [
      `${layerOf.get(one.id) ?? ''}`,
      tableName(one),
      one.rows < 0 ? '?' : count(one.rows),
      bytes(one.bytes),
      [keyText(one), cycleOf.has(one.id) ? `cycle ${cycleOf.get(one.id)}` : ''].filter(Boolean).join(', '),
    ]),
  );
}

function tableName(one: TablePlan): string {
  const [from, to] = [tableText(one.source), tableText(one.destination)];
  return from === to ? from : `${from} → ${to}`;
}

function keyText({ key, units }: TablePlan): string {
  const by = key.kind === 'ctid' ? 'blocks (no usable key)' : key.columns.join(', ');
  return units.length > 1 ? `${by}; ${units.length} leaves` : by;
}

/** The columns of a table that change, by whose decision; those that are kept in one line. */
function columnsText(one: TablePlan): string {
  const kept = one.columns.filter(isKept).map(({ name }) => name);
  const changed = one.columns.filter((column) => column.branches.length > 0 && !isKept(column));
  const width = terminalWidth();
  const lines = changed.map((column) => [
    column.name,
    column.type.name,
    branchTexts(column.branches, one.conditions).join('\n'),
    decidedBy(column),
  ]);
  const rows =
    lines.length === 0
      ? ''
      : table(
          [
            { head: 'column', width: 24 },
            { head: 'type', width: 22 },
            { head: 'becomes', width: Math.max(24, width - 74) },
            { head: 'decided by' },
          ],
          lines,
        );
  const where = one.where === undefined ? '' : `  only where ${one.where}`;
  const drops = one.semiJoins.length === 0 ? '' : '  without rows whose parent is filtered away';
  const keeps = kept.length === 0 ? '' : wrap(`kept: ${kept.join(', ')}`, width - 2);
  return section(tableName(one), [where, drops, rows, keeps].filter(Boolean).join('\n'));
}

function isKept({ branches }: ColumnPlan): boolean {
  return (
    branches.length > 0 &&
    branches.every(
      ({ apply, otherwise }) => apply.name === 'keep' && (!otherwise || otherwise.name === 'keep'),
    )
  );
}

function decidedBy(column: ColumnPlan): string {
  const rules = [...new Set(column.branches.map(({ rule }) => rule))];
  return rules
    .map((rule) => {
      if (rule === 'columns') return 'job file';
      if (rule === 'foreign key') return `follows ${column.domain}`;
      return rule === 'unlisted' ? 'unlisted' : `rule ${rule}`;
    })
    .join(', ');
}

function domainsText(plan: Plan): string {
  const shared = plan.domains.filter(({ members }) => members.length > 1);
  const width = terminalWidth() - 2;
  return shared.map((domain) => domainText(domain, width)).join('\n');
}

const UNIQUE = { injective: 'unique stays unique', wide: 'unique beyond chance', no: 'not unique' } as const;

function domainText({ name, members, transformer, proof }: DomainPlan, width: number): string {
  const facts = [
    specText(transformer),
    UNIQUE[proof.unique],
    ...(proof.maxInteger ? [`up to ${proof.maxInteger}`] : []),
  ];
  const others = members.filter((member) => member !== name);
  return [
    `  ${paint.cyan(name)}: ${facts.join(', ')}`,
    wrap(`  = ${others.join(', ')}`, width, '      '),
  ].join('\n');
}

function findingsText(plan: Plan, level: Finding['level'], of: (finding: Finding) => boolean): string {
  const mark = { note: paint.dim('·'), warning: paint.yellow('!'), refusal: paint.red('✗') }[level];
  return plan.findings
    .filter((finding) => finding.level === level && of(finding))
    .map((finding) => `  ${mark} ${wrap(findingText(finding), terminalWidth() - 4, '    ').trimStart()}`)
    .join('\n');
}

/** The refused columns as lines of a job file, with what their names and types suggest. */
function undecidedText(plan: Plan, source: Catalog): string {
  const advisor = new Advisor(source);
  const lines = new Map<string, string[]>();
  for (const finding of plan.findings) {
    if (finding.code !== 'undecided-column' || !finding.table || !finding.column) continue;
    const from = source.tables.find((one) => tableText(one) === finding.table);
    const column = from?.columns.find(({ name }) => name === finding.column);
    if (!from || !column) continue;
    const advice = advisor.advise(from, column);
    const suggestion = advice.kind === 'use' || advice.kind === 'undecided' ? advice.suggestion : undefined;
    const reason = advice.kind === 'undecided' ? advice.reason : (suggestion?.reason ?? column.type.name);
    const line = suggestion
      ? columnLine(column.name, suggestion.spec)
      : `${columnLine(column.name, 'keep')} ?`;
    lines.set(finding.table, [...(lines.get(finding.table) ?? []), ...explained(line, reason)]);
  }
  if (lines.size === 0) return '';
  const blocks = [...lines].map(([name, columns]) =>
    [`    ${name}:`, '      columns:', ...columns].join('\n'),
  );
  return ['  tables:', ...blocks].join('\n');
}

/** A line with a comment behind it, or above where that would be too wide. */
function explained(line: string, reason: string): string[] {
  const indent = ' '.repeat(8);
  const behind = `${indent}${line.padEnd(36)} # ${reason}`;
  if (behind.length <= terminalWidth()) return [behind.replace(/ # .*$/, (comment) => paint.dim(comment))];
  return [paint.dim(wrap(reason, terminalWidth(), `${indent}# `)), indent + line];
}

function verdict(plan: Plan): string {
  const refusals = plan.findings.filter(({ level }) => level === 'refusal').length;
  if (refusals === 0) return `${paint.green('✓')} This plan can run. Nothing was written.`;
  return `${paint.red('✗')} This plan is refused: ${counted(refusals, 'reason')} above. Nothing was written.`;
}

/** Breaks a text at blanks. */
function wrap(text: string, width: number, indent = '  '): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width - indent.length) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => indent + one).join('\n');
}
