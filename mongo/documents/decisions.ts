import { compileColumn } from '../../anonymize/compile.js';
import type { JobKeys } from '../../anonymize/keys.js';
import { getTransformer, nestedSpecs } from '../../anonymize/registry.js';
import type { ColumnType, Prf, TransformerSpec } from '../../anonymize/transformer.js';
import { LetheError } from '../../errors/errors.js';
import { BSON, TYPE_NAMES } from './bson.js';
import { columnTypeOf } from './columnTypes.js';
import { type Codes, DERIVED, DESCEND, DROP, EMPTY, KEEP, type Pattern, REFUSE } from './match.js';
import { type FieldPath, parseFieldPath, plainNames } from './paths.js';
import { SEALED, sealedFrom } from './sealed.js';
import { KEY_NAME, type TargetRule } from './target.js';
import type { BsonType, CollectionRules, DerivedField, FieldRule, FieldSpec } from './types.js';

/** A collection's rules, compiled: patterns for the states, and the transformers that their codes point to. */
export interface Decisions {
  readonly patterns: readonly Pattern[];
  readonly unlisted: Codes;
  /** Codes of derived fields, by name. */
  readonly derivedCodes: ReadonlyMap<string, Codes>;
  readonly derived: readonly CompiledDerived[];
  /** Target n is `targets[n - 1]`. */
  readonly targets: readonly TargetRule[];
  readonly reasons: readonly string[];
  /** Paths of names that transformers read besides, by their text; the document's key is `_id`. */
  readonly sources: ReadonlyMap<string, readonly string[]>;
}

export interface CompiledDerived {
  readonly name: string;
  readonly from: readonly string[];
  /** Target or refusal by type byte of the source. */
  readonly codes: Codes;
}

const CONTAINERS: readonly BsonType[] = ['object', 'array'];
const NOTHING: readonly BsonType[] = ['null', 'undefined'];

/** Compiles all rules. Throws `JobInvalid` with every mistake. */
export function compileDecisions(rules: CollectionRules, keys: JobKeys): Decisions {
  return new Compiler(rules, keys).compile();
}

class Compiler {
  private readonly targets: TargetRule[] = [];
  private readonly reasons: string[] = [];
  private readonly mistakes: string[] = [];
  private readonly sources = new Map<string, readonly string[]>();
  private readonly shared: Prf;

  constructor(
    private readonly rules: CollectionRules,
    private readonly keys: JobKeys,
  ) {
    // No domain of a plan is nameless.
    this.shared = keys.domain('');
  }

  compile(): Decisions {
    const { rules } = this;
    const patterns = rules.fields.flatMap((rule) => this.pattern(rule) ?? []);
    const derived = (rules.derive ?? []).flatMap((field) => this.derivedField(field) ?? []);
    const derivedCodes = new Map(
      derived.map(({ name }, i) => [name, new Int16Array(256).fill(DERIVED - i)] as const),
    );
    if (derivedCodes.size < derived.length) this.mistakes.push('derive: two fields of one name');
    const unlisted = this.unlisted();
    if (this.mistakes.length > 0) {
      throw new LetheError('JobInvalid', `${rules.collection}:\n${this.mistakes.join('\n')}`);
    }
    const { targets, reasons, sources } = this;
    return { patterns, unlisted, derived, derivedCodes, targets, reasons, sources };
  }

  private unlisted(): Codes {
    const { unlisted } = this.rules;
    const code = { keep: KEEP, null: EMPTY, drop: DROP, block: 0 }[unlisted];
    const codes = new Int16Array(256).fill(
      unlisted === 'block' ? this.refusal('no rule decides this field') : code,
    );
    if (unlisted === 'null') for (const type of NOTHING) codes[BSON[type as 'null']] = KEEP;
    return codes;
  }

  private refusal(reason: string): number {
    const known = this.reasons.indexOf(reason);
    return REFUSE - (known >= 0 ? known : this.reasons.push(reason) - 1);
  }

  private pattern(rule: FieldRule): Pattern | undefined {
    const path = parseFieldPath(rule.path);
    if (typeof path === 'string') {
      this.mistakes.push(`${rule.path}: as a path ${path}`);
      return undefined;
    }
    if (path.keys) return this.keyPattern(rule, path);
    const codes = new Int16Array(256);
    const refused: string[] = [];
    let taken = false;
    for (const [byte, type] of TYPE_NAMES) {
      const spec = rule.types?.[type] ?? rule.apply;
      const given = rule.types?.[type] !== undefined;
      const code = this.code(rule, path, type, byte, spec, given);
      codes[byte] = typeof code === 'string' ? this.refusal(code) : code;
      if (typeof code !== 'string') taken ||= !CONTAINERS.includes(type) && !NOTHING.includes(type);
      else if (given) this.mistakes.push(`${rule.path}: ${code}`);
      else refused.push(code);
    }
    if (!taken && rule.apply.name !== 'block') this.mistakes.push(`${rule.path}: ${refused[0]}`);
    const closes = rule.apply.name === 'drop' || rule.apply.name === 'null';
    const idCodes = this.unsealed(codes);
    return { path, codes, target: 0, closes, ...(idCodes && { idCodes }) };
  }

  /** The codes with refusals in the place of what seals; undefined where nothing does. */
  private unsealed(codes: Codes): Codes | undefined {
    const seals = (code: number) =>
      code > 0 && [...nestedSpecs(this.targets[code - 1]!.spec)].some(({ name }) => name === SEALED);
    return codes.some(seals) ? codes.map((code) => (seals(code) ? this.refusal(IN_ID) : code)) : undefined;
  }

  private keyPattern(rule: FieldRule, path: FieldPath): Pattern | undefined {
    const type: ColumnType = { ...columnTypeOf('string'), name: 'key', nullable: false };
    if (rule.apply.name === 'keep') return { path, codes: new Int16Array(256), target: 0, closes: false };
    const made = FIELD_ONLY.has(rule.apply.name)
      ? `${rule.apply.name} is about values; write it without ~`
      : this.target(
          rule.rule,
          rule.path,
          rule.domain ?? this.domain(rule.path),
          rule.apply,
          type,
          KEY_NAME,
          KEY_NAME,
        );
    if (typeof made === 'number') return { path, codes: new Int16Array(256), target: made, closes: false };
    this.mistakes.push(`${rule.path}: ${made}`);
    return undefined;
  }

  /** The code for values of one type, or why there is none. */
  private code(
    rule: FieldRule,
    path: FieldPath,
    type: BsonType,
    byte: number,
    spec: FieldSpec,
    given: boolean,
  ): number | string {
    switch (spec.name) {
      case 'keep':
        return KEEP;
      case 'drop': {
        const last = path.steps.at(-1)!.kind;
        return last === 'index' || last === 'anyElement' ? 'an element of an array cannot be dropped' : DROP;
      }
      case 'block':
        return NOTHING.includes(type) && !given
          ? KEEP
          : CONTAINERS.includes(type) && !given
            ? DESCEND
            : this.refusal(`${type} is not taken here`);
      case 'null':
        return NOTHING.includes(type) ? KEEP : EMPTY;
    }
    if (NOTHING.includes(type)) return KEEP;
    if (CONTAINERS.includes(type)) return given ? `an ${type} is kept, emptied, dropped or refused` : DESCEND;
    const columnType = rule.compileTypes?.[type] ?? columnTypeOf(type);
    const domain = rule.domain ?? this.domain(rule.path);
    return this.target(rule.rule, rule.path, domain, spec, columnType, byte, byte, rule.special);
  }

  private domain(path: string): string {
    return `${this.rules.collection}.${path}`;
  }

  /** A new target's number, or why the transformer cannot take the type. */
  private target(
    rule: string,
    path: string,
    domain: string,
    spec: TransformerSpec,
    type: ColumnType,
    byte: number,
    output: number,
    special: 'refuse' | 'keep' = 'refuse',
  ): number | string {
    const transformer = getTransformer(spec.name);
    const options = transformer.options.parse(spec.options);
    const accepted =
      type.kind === 'other' ? 'it is kept, emptied, dropped or refused' : transformer.accepts(type, options);
    if (accepted !== true) return `${spec.name} cannot take ${type.name}: ${accepted}`;
    const sealed = spec.name === SEALED ? sealedFrom(spec, type, output) : undefined;
    if (typeof sealed === 'string') return `${spec.name} cannot take ${type.name}: ${sealed}`;
    for (const need of transformer.needs?.(options) ?? []) this.source(need);
    return this.targets.push({
      rule,
      path,
      type: byte,
      output: sealed?.output ?? output,
      transform: sealed
        ? sealed.compile(this.keys.domain(domain), this.keys.sealing)
        : compileColumn(spec, type, this.keys.domain(domain), this.shared, this.keys.sealing),
      ...{ spec, columnType: type, domain },
      mayEqualInput: transformer.proof(type, options).mayEqualInput,
      blind: spec.name === 'constant',
      special,
    });
  }

  private source(need: string): void {
    const path = parseFieldPath(need === 'key' ? '_id' : need);
    const names = typeof path === 'string' ? undefined : plainNames(path);
    if (names) this.sources.set(need, names);
    else this.mistakes.push(`by: ${need} is no path of names alone`);
  }

  private derivedField(field: DerivedField): CompiledDerived | undefined {
    const path = parseFieldPath(field.from);
    const from = typeof path === 'string' ? undefined : plainNames(path);
    if (!from) {
      this.mistakes.push(`${field.name}: from is no path of names alone`);
      return undefined;
    }
    const codes = new Int16Array(256);
    const domain = field.domain ?? this.domain(field.from);
    for (const [byte, type] of TYPE_NAMES) {
      const columnType = columnTypeOf(type);
      if (NOTHING.includes(type)) codes[byte] = KEEP;
      else if (columnType.kind === 'other')
        codes[byte] = this.refusal(`a field cannot be derived from ${type}`);
      else {
        const own = this.target(field.rule, field.name, domain, field.apply, columnType, byte, byte);
        const made =
          typeof own === 'number' || field.apply.name === SEALED
            ? own
            : this.target(
                field.rule,
                field.name,
                domain,
                field.apply,
                columnTypeOf('string'),
                byte,
                BSON.string,
              );
        codes[byte] = typeof made === 'number' ? made : this.refusal(made);
      }
    }
    if (!codes.some((code) => code > 0))
      this.mistakes.push(`${field.name}: ${field.apply.name} takes no value`);
    return { name: field.name, from, codes };
  }
}

const IN_ID =
  'a document is known by its _id, and a token is another one each time: give this part of it a rule of its own (keep, hash)';
const FIELD_ONLY = new Set(['drop', 'block', 'null']);
