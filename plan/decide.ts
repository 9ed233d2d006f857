import type { ColumnType, TransformerSpec } from '../anonymize/transformer.js';
import type { Job, Position } from '../job/types.js';
import type { DomainGroup } from './domains.js';
import { type Effect, effectOf, findTransformer, proofOf, sameSpec, specsOf } from './effects.js';
import type { Findings } from './findings.js';
import type { ColumnPair, TablePair } from './model.js';
import type { Branch, DomainPlan } from './plan.js';
import { type Chain, RuleEngine } from './rules.js';

/** What was decided for one column. */
export interface Decision {
  readonly column: ColumnPair;
  readonly group: DomainGroup;
  /** Empty while the column is undecided: the plan is refused then. */
  readonly branches: readonly Branch[];
  readonly compileType: ColumnType;
  readonly effect: Effect;
  readonly position?: Position;
}

export interface Decisions {
  /** By `schema.table.column`. */
  readonly of: ReadonlyMap<string, Decision>;
  readonly domains: readonly DomainPlan[];
  conditions(table: TablePair): readonly string[];
}

interface Verdict {
  readonly branches: readonly Branch[];
  /** The member whose entry or rule decided. */
  readonly decider?: ColumnPair;
  readonly position?: Position;
}

/** Gives every column its branches: explicit entries, then rules, then `unlisted`; whole domains at once. */
export function decide(
  job: Job,
  tables: readonly TablePair[],
  groups: readonly DomainGroup[],
  findings: Findings,
): Decisions {
  const rules = new RuleEngine(job);
  const byName = new Map(tables.map((table) => [table.name, table]));
  const decider = new Decider(job, byName, rules, findings);
  const of = new Map<string, Decision>();
  const domains: DomainPlan[] = [];
  for (const group of groups) {
    const verdict = decider.verdict(group);
    checkVerdict(group, verdict, findings);
    for (const column of group.members) {
      const compileType = group.type ?? column.type;
      const branches = verdict.branches.map((branch) =>
        group.members.length > 1 && column !== verdict.decider && !isExplicit(byName, column)
          ? { ...branch, rule: branch.rule === 'unlisted' ? 'unlisted' : 'foreign key' }
          : branch,
      );
      const effect = effectOf(branches, column.type, compileType);
      of.set(column.key, {
        column,
        group,
        branches,
        compileType,
        effect,
        ...(verdict.position && { position: verdict.position }),
      });
    }
    const domain = describeDomain(group, verdict);
    if (domain) domains.push(domain);
  }
  for (const rule of rules.unused()) {
    findings.warn(
      'unused-rule',
      `rule ${rule.name} matches no column of the job that an earlier rule, an explicit entry or a foreign key does not decide`,
      {
        position: rule.position,
      },
    );
  }
  return { of, domains, conditions: (table) => rules.conditions(table) };
}

class Decider {
  constructor(
    private readonly job: Job,
    private readonly tables: ReadonlyMap<string, TablePair>,
    private readonly rules: RuleEngine,
    private readonly findings: Findings,
  ) {}

  verdict(group: DomainGroup): Verdict {
    return this.#explicit(group) ?? this.#byRules(group);
  }

  /** Explicit entries of any member decide for all; they must agree. */
  #explicit(group: DomainGroup): Verdict | undefined {
    const entries = group.members.flatMap((column) => {
      const rule = this.tables.get(column.table)?.rules?.columns[column.source.name];
      return rule ? [{ column, rule }] : [];
    });
    const [first] = entries;
    if (!first) return undefined;
    for (const { column, rule } of entries) {
      if (sameSpec(rule.spec, first.rule.spec)) continue;
      this.findings.refuse(
        'domain-disagrees',
        `${first.column.key} is ${first.rule.spec.name} and ${column.key} is ${rule.spec.name}, but both hold the same keys (${group.path(first.column, column)}): ${specHint(first.rule.spec, rule.spec)}decide one of them, the other follows`,
        { table: column.table, column: column.source.name, position: rule.position },
      );
    }
    return {
      branches: [{ rule: 'columns', apply: first.rule.spec }],
      decider: first.column,
      position: first.rule.position,
    };
  }

  #byRules(group: DomainGroup): Verdict {
    const chains = group.roots.flatMap((column) => {
      const table = this.tables.get(column.table);
      return table ? [{ column, chain: this.rules.chain(table, column) }] : [];
    });
    const decided = chains.filter(({ chain }) => chain.branches.length > 0);
    const [first] = decided;
    if (!first) return this.#unlisted(group, []);
    const shared = group.members.length > 1;
    if (shared) this.#refuseUnequal(group, decided);
    if (
      shared &&
      (!first.chain.complete || first.chain.branches.some((branch) => branch.when !== undefined))
    ) {
      this.findings.refuse(
        'conditional-domain',
        `${first.column.key} is shared by ${group.members.length} columns that hold the same keys, so no \`when\` may decide it (rule ${first.chain.branches[0]?.rule}): give it one unconditional transformer`,
        { table: first.column.table, column: first.column.source.name, position: first.chain.position },
      );
      return { branches: [], decider: first.column, position: first.chain.position };
    }
    const verdict = { branches: first.chain.branches, decider: first.column, position: first.chain.position };
    if (first.chain.complete) return verdict;
    return { ...verdict, branches: this.#unlisted(group, first.chain.branches).branches };
  }

  #refuseUnequal(group: DomainGroup, decided: readonly { column: ColumnPair; chain: Chain }[]): void {
    const [first, ...others] = decided;
    const text = (chain: Chain) => JSON.stringify(chain.branches.map(({ apply }) => apply));
    for (const other of others) {
      if (!first || text(other.chain) === text(first.chain)) continue;
      this.findings.refuse(
        'domain-disagrees',
        `rule ${first.chain.branches[0]?.rule} decides ${first.column.key} and rule ${other.chain.branches[0]?.rule} decides ${other.column.key}, but both hold the same keys (${group.path(first.column, other.column)}): decide one of them under \`tables\``,
        { table: other.column.table, column: other.column.source.name, position: other.chain.position },
      );
    }
  }

  /** The end of every chain. `before` are the conditional branches that did not decide all rows. */
  #unlisted(group: DomainGroup, before: readonly Branch[]): Verdict {
    const [root] = group.roots;
    const place = { table: root?.table, column: root?.source.name };
    const overridden = before.length === 0 ? this.#overridden(group) : undefined;
    if (this.job.unlisted !== 'block') {
      if (overridden) {
        this.findings.warn(
          'rule-overridden',
          `${overridden}, so it is ${this.job.unlisted === 'keep' ? 'kept' : 'nulled'} as \`unlisted\` says`,
          place,
        );
      }
      const apply = { name: this.job.unlisted, options: {} };
      return { branches: [...before, { rule: 'unlisted', apply }], ...(root && { decider: root }) };
    }
    if (before.length > 0) {
      this.findings.refuse(
        'undecided-rows',
        `${root?.key} is decided only for rows where a \`when\` is true (rule ${before.map((branch) => branch.rule).join(', ')}; NULL is not true): add \`otherwise\`, or a rule without \`when\` after it`,
        place,
      );
      return { branches: [] };
    }
    const others = group.members.length - 1;
    const shared =
      others > 0
        ? ` and the ${others === 1 ? 'column' : `${others} columns`} connected with it by foreign keys`
        : '';
    this.findings.refuse(
      'undecided-column',
      `${root?.key} (${root?.source.type.name})${shared}: nothing is decided. Write a transformer or keep for ${root?.source.name} under \`tables\` → ${root?.table} → columns, or a rule that matches it${overridden ? ` (${overridden})` : ''}`,
      place,
    );
    return { branches: [] };
  }
  /** A rule that matches a member, but not the one at which a domain is decided. */
  #overridden(group: DomainGroup): string | undefined {
    for (const column of group.members) {
      const table = this.tables.get(column.table);
      const rule = table && this.rules.first(table, column);
      if (rule)
        return `rule ${rule.name} matches ${column.key}, which follows ${group.roots[0]?.key} by foreign keys`;
    }
    return undefined;
  }
}

function isExplicit(tables: ReadonlyMap<string, TablePair>, column: ColumnPair): boolean {
  return tables.get(column.table)?.rules?.columns[column.source.name] !== undefined;
}

function specHint(a: TransformerSpec, b: TransformerSpec): string {
  return a.name === b.name ? 'their options differ; ' : '';
}

/** Whether the transformers can do what the columns need. */
function checkVerdict(group: DomainGroup, verdict: Verdict, findings: Findings): void {
  for (const spec of specsOf(verdict.branches)) checkSpec(group, verdict, spec, findings);
}

function checkSpec(group: DomainGroup, verdict: Verdict, spec: TransformerSpec, findings: Findings): void {
  const decider = verdict.decider ?? group.members[0];
  if (!decider) return;
  const place = { table: decider.table, column: decider.source.name, position: verdict.position };
  const transformer = findTransformer(spec.name);
  if (!transformer) {
    findings.refuse('unknown-transformer', `${decider.key}: there is no transformer ${spec.name}`, place);
    return;
  }
  for (const member of group.members) checkMember(member, spec, place, findings);
  if (spec.name === 'keep' || spec.name === 'null') return;
  if (!group.type) {
    findings.refuse(
      'mixed-domain',
      `${decider.key} and the columns connected with it are of different types (${[...new Set(group.members.map((member) => member.source.type.name))].join(', ')}): only keep and null are possible`,
      place,
    );
    return;
  }
  const accepted = transformer.accepts(group.type, spec.options);
  if (accepted !== true) {
    findings.refuse('not-accepted', `${decider.key} (${group.type.name}): ${accepted}`, place);
    return;
  }
  const proof = proofOf(spec, group.type);
  if (group.members.length > 1 && proof && !(proof.total && proof.keepsNull)) {
    findings.refuse(
      'not-total',
      `${decider.key} is shared by ${group.members.length} columns that must get equal outputs for equal inputs (${group.path(decider, group.members.find((member) => member !== decider) ?? decider)}), which ${spec.name} with these options does not promise: choose a transformer that depends on the value alone, with \`onInvalid: fail\``,
      place,
    );
  }
}

function checkMember(
  member: ColumnPair,
  spec: TransformerSpec,
  place: { readonly position?: Position },
  findings: Findings,
): void {
  const at = { table: member.table, column: member.source.name, position: place.position };
  if (spec.name === 'null' && !member.destination.type.nullable) {
    findings.refuse(
      'null-forbidden',
      `${member.key} is NOT NULL in the destination and cannot be nulled: choose another transformer`,
      at,
    );
  }
  if (spec.name === 'keep' && member.fit === 'narrower') {
    findings.refuse(
      'type-narrower',
      `${member.key} is ${member.source.type.name} in the source and only ${member.destination.type.name} in the destination, so kept values may not fit: widen it there, or choose a transformer`,
      at,
    );
  }
}

function describeDomain(group: DomainGroup, verdict: Verdict): DomainPlan | undefined {
  const specs = specsOf(verdict.branches);
  const [spec] = specs;
  if (!spec || specs.length > 1 || !group.type) return undefined;
  const shared = group.members.length > 1;
  if (!shared && (spec.name === 'keep' || spec.name === 'null')) return undefined;
  const proof = proofOf(spec, group.type);
  if (!proof) return undefined;
  return {
    name: group.name,
    members: group.members.map((member) => member.key),
    transformer: spec,
    type: group.type,
    proof,
  };
}
