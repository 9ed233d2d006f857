import type { ColumnType, TransformerSpec } from '../anonymize/transformer.js';
import { compileGlob, type NameMatcher } from '../job/globs.js';
import type { Apply, Job, Position, Rule } from '../job/types.js';
import type { ColumnPair, TablePair } from './model.js';
import type { Branch } from './plan.js';

/** What the rules of the job say about one column, by themselves: domains are not looked at. */
export interface Chain {
  readonly branches: readonly Branch[];
  /** An unconditional decision ends the chain. */
  readonly complete: boolean;
  /** Of the first rule that matched. */
  readonly position?: Position;
}

/** The rules of a job, ready to be asked. Conditions are collected per table, each text once. */
export class RuleEngine {
  readonly #rules: readonly CompiledRule[];
  readonly #conditions = new Map<number, string[]>();
  readonly #used = new Set<Rule>();

  constructor(job: Job) {
    this.#rules = job.rules.map(compileRule);
  }

  /** First match wins; a rule with `when` and no `otherwise` leaves its other rows to the next match. */
  chain(table: TablePair, column: ColumnPair): Chain {
    const branches: Branch[] = [];
    let position: Position | undefined;
    for (const compiled of this.#rules) {
      const { rule } = compiled;
      const apply = specFor(rule.apply, column.source.name);
      if (!apply || !matches(compiled, table, column)) continue;
      this.#used.add(rule);
      position ??= rule.position;
      if (rule.when === undefined) {
        branches.push({ rule: rule.name, apply });
        return { branches, complete: true, position };
      }
      const when = this.#condition(table, rule.when);
      const otherwise = rule.otherwise && specFor(rule.otherwise, column.source.name);
      branches.push({ rule: rule.name, when, apply, ...(otherwise && { otherwise }) });
      if (otherwise) return { branches, complete: true, position };
    }
    return { branches, complete: false, position };
  }

  /** The first rule that matches the column, whatever comes of it. */
  first(table: TablePair, column: ColumnPair): Rule | undefined {
    return this.#rules.find(
      (compiled) => specFor(compiled.rule.apply, column.source.name) && matches(compiled, table, column),
    )?.rule;
  }

  /** `when` conditions of a table, in the order of first use. */
  conditions(table: TablePair): readonly string[] {
    return this.#conditions.get(table.id) ?? [];
  }

  /** Rules that matched no column of the job. */
  unused(): Rule[] {
    return this.#rules.map(({ rule }) => rule).filter((rule) => !this.#used.has(rule));
  }

  #condition(table: TablePair, when: string): number {
    const known = this.#conditions.get(table.id) ?? [];
    this.#conditions.set(table.id, known);
    const at = known.indexOf(when);
    return at >= 0 ? at : known.push(when) - 1;
  }
}

interface CompiledRule {
  readonly rule: Rule;
  readonly table?: NameMatcher;
  readonly column?: NameMatcher;
  readonly type?: NameMatcher;
}

function compileRule(rule: Rule): CompiledRule {
  const { table, column, type } = rule.match;
  return {
    rule,
    ...(table !== undefined && { table: compileGlob(table) }),
    ...(column !== undefined && { column: compileGlob(column, { nocase: true }) }),
    ...(type !== undefined && { type: compileGlob(type, { nocase: true }) }),
  };
}

function matches(compiled: CompiledRule, table: TablePair, column: ColumnPair): boolean {
  if (compiled.table && !compiled.table(table.name)) return false;
  if (compiled.column && !compiled.column(column.source.name)) return false;
  const { type } = compiled;
  return !type || typeNames(column.source.type).some(type);
}

/** A type answers to its kind, its full name, the name without a length, and its short names. */
function typeNames(type: ColumnType): string[] {
  const bare = type.name.replace(/\s*\([^)]*\)/, '');
  const short = SHORT_NAMES[bare];
  return [
    type.kind,
    type.name,
    bare,
    ...(short === undefined ? [] : [short, type.name.replace(bare, short)]),
  ];
}

const SHORT_NAMES: Readonly<Record<string, string>> = {
  'character varying': 'varchar',
  character: 'char',
  'double precision': 'float8',
  real: 'float4',
  boolean: 'bool',
};

function specFor(apply: Apply, column: string): TransformerSpec | undefined {
  return apply.kind === 'all' ? apply.spec : apply.columns[column];
}
