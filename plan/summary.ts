import type { TransformerSpec } from '../anonymize/transformer.js';
import { tableText } from './catalog.js';
import { findTransformer } from './effects.js';
import { canonicalJson } from './json.js';
import type { Branch, ColumnPlan, Finding, Plan, TablePlan } from './plan.js';
import { findingText } from './refuse.js';

/** A plan for people: names and sentences only, ready to be printed. */
export interface PlanSummary {
  readonly job: string;
  readonly mode: Plan['mode'];
  readonly consistency: Plan['consistency'];
  /** Names of the databases. */
  readonly source: string;
  readonly destination: string;
  readonly rows: number;
  readonly bytes: number;
  readonly tables: readonly TableSummary[];
  readonly domains: readonly DomainSummary[];
  /** Columns that follow another one through a foreign key: `public.rental.customer_id` ← `public.customer.customer_id`. */
  readonly inherited: readonly {
    readonly column: string;
    readonly from: string;
    readonly transformer: string;
  }[];
  /** Why unique indexes and checks hold, or may not. */
  readonly verdicts: readonly string[];
  /** `schema.table.column`. */
  readonly undecided: readonly string[];
  /** Names of tables, in layers. */
  readonly order: readonly (readonly string[])[];
  readonly cycles: readonly (readonly string[])[];
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

export interface TableSummary {
  readonly name: string;
  /** Only when it is called otherwise there. */
  readonly destination?: string;
  readonly rows: number;
  readonly bytes: number;
  /** About how many batches. */
  readonly batches: number;
  /** `primary key columns`, or `blocks`. */
  readonly cutBy: string;
  readonly where?: string;
  /** Parents without which rows are left out. */
  readonly needsParents: readonly string[];
  readonly columns: readonly ColumnSummary[];
}

export interface ColumnSummary {
  readonly name: string;
  readonly type: string;
  /** `email`, `keep`, `email when country = 'DE', else keep`; `undecided`. */
  readonly what: string;
  /** The rules that decide, in order. */
  readonly rules: readonly string[];
}

export interface DomainSummary {
  readonly name: string;
  readonly transformer: string;
  readonly members: readonly string[];
  /** `injective`, `at least 96 keyed bits`, `may collide`. */
  readonly unique: string;
  /** `integers up to 1073741823`, or the type. */
  readonly range: string;
}

const VERDICTS = new Set([
  'unique',
  'check',
  'unproved-unique',
  'unproved-check',
  'unproved-exclusion',
  'unproved-partition-key',
]);

export function planSummary(plan: Plan): PlanSummary {
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.source)]));
  const named = (ids: readonly number[]) => ids.map((id) => names.get(id) ?? '');
  const texts = (level: Finding['level']) =>
    plan.findings.filter((finding) => finding.level === level && !isVerdict(finding)).map(findingText);
  const columns = plan.tables.flatMap((table) => table.columns.map((column) => ({ table, column })));
  return {
    job: plan.job,
    mode: plan.mode,
    consistency: plan.consistency,
    source: plan.source.name,
    destination: plan.destination.name,
    rows: plan.tables.reduce((sum, table) => sum + table.rows, 0),
    bytes: plan.tables.reduce((sum, table) => sum + table.bytes, 0),
    tables: plan.tables.map((table) => summarizeTable(plan, table)),
    domains: plan.domains.map(summarizeDomain),
    inherited: columns
      .filter(({ column }) => column.branches[0]?.rule === 'foreign key')
      .map(({ table, column }) => ({
        column: `${tableText(table.source)}.${column.name}`,
        from: column.domain,
        transformer: describeBranches(column.branches, table.conditions),
      })),
    verdicts: plan.findings.filter(isVerdict).map(findingText),
    undecided: columns
      .filter(({ column }) => column.branches.length === 0)
      .map(({ table, column }) => `${tableText(table.source)}.${column.name}`),
    order: plan.order.map(named),
    cycles: plan.cycles.map(named),
    refusals: texts('refusal'),
    warnings: texts('warning'),
    notes: texts('note'),
  };
}

/** Notes that prove something; what is refused stands among the refusals. */
function isVerdict(finding: Finding): boolean {
  return finding.level === 'note' && VERDICTS.has(finding.code);
}

function summarizeTable(plan: Plan, table: TablePlan): TableSummary {
  const name = tableText(table.source);
  const destination = tableText(table.destination);
  return {
    name,
    ...(destination !== name && { destination }),
    rows: table.rows,
    bytes: table.bytes,
    batches: Math.max(table.units.length, Math.ceil(table.rows / plan.execution.batchRows)),
    cutBy: table.key.kind === 'ctid' ? 'blocks' : table.key.columns.join(', '),
    ...(table.where !== undefined && { where: table.where }),
    needsParents: table.semiJoins.map((join) => tableText(join.parent)),
    columns: table.columns.map((column) => summarizeColumn(table, column)),
  };
}

function summarizeColumn(table: TablePlan, column: ColumnPlan): ColumnSummary {
  return {
    name: column.name,
    type: column.type.name,
    what: describeBranches(column.branches, table.conditions),
    rules: column.branches.map((branch) => branch.rule),
  };
}

function summarizeDomain(domain: Plan['domains'][number]): DomainSummary {
  const unique = { injective: 'injective', wide: 'at least 96 keyed bits', no: 'may collide' };
  return {
    name: domain.name,
    transformer: specText(domain.transformer),
    members: domain.members,
    unique: unique[domain.proof.unique],
    range:
      domain.proof.maxInteger === undefined ? domain.type.name : `integers up to ${domain.proof.maxInteger}`,
  };
}

function describeBranches(branches: readonly Branch[], conditions: readonly string[]): string {
  if (branches.length === 0) return 'undecided';
  return branches
    .map((branch) => {
      const when = branch.when === undefined ? '' : ` when ${conditions[branch.when]}`;
      const otherwise = branch.otherwise ? `, else ${specText(branch.otherwise)}` : '';
      return `${specText(branch.apply)}${when}${otherwise}`;
    })
    .join(', else ');
}

/** A transformer the way the job file writes it; options at their defaults are left out. */
export function specText(spec: TransformerSpec): string {
  const defaults = findTransformer(spec.name)?.options.safeParse({});
  const plain = defaults?.success ? (defaults.data as Record<string, unknown>) : {};
  const options = Object.entries(spec.options)
    .filter(([name, value]) => canonicalJson(value) !== canonicalJson(plain[name]))
    .map(([name, value]) => `${name}: ${isSpec(value) ? specText(value) : JSON.stringify(value)}`);
  return options.length === 0 ? spec.name : `${spec.name} { ${options.join(', ')} }`;
}

function isSpec(value: unknown): value is TransformerSpec {
  return typeof value === 'object' && value !== null && 'name' in value && 'options' in value;
}
