import type { JobKeys } from '../../anonymize/keys.js';
import { nestedSpecs } from '../../anonymize/registry.js';
import { BSON, TYPE_NAMES } from '../documents/bson.js';
import { compileDecisions, type Decisions } from '../documents/decisions.js';
import { buildStates, DROP, type FieldState, KEEP, REFUSE } from '../documents/match.js';
import { SEALED } from '../documents/sealed.js';
import { KEY_NAME } from '../documents/target.js';
import type { CollectionRules } from '../documents/types.js';
import { all, type Branch, isDerived, isWhole, Places, when } from './places.js';
import { UNABLE } from './runtime/server.js';
import { type Expression, type ServerValue, serverValue } from './values.js';

/** One stage of an aggregation. */
export type Stage = Readonly<Record<string, unknown>>;

/** What a server does to the documents of a collection, in place of a worker. */
export interface Pushdown {
  /** A document for which this is false is left to the worker; absent: none is. */
  readonly allowed?: Expression;
  /** Turns documents into what they become. */
  readonly stages: readonly Stage[];
  /** Holds of what the stages made; false where a function was not able to. Absent: always. */
  readonly made?: Expression;
  /** The same question of a document that keeps its own fields; absent with `made`. */
  readonly probe?: { readonly fields: Readonly<Record<string, Expression>>; readonly made: Expression };
  /** Sentences for a plan. */
  readonly warnings: readonly string[];
}

export interface PushdownOptions {
  /** Keyed functions may be sent to the server. */
  readonly allowKeyOnServer: boolean;
  /** What stands for keys where a pipeline is shown. Default: the keys themselves. */
  readonly keyText?: (domain: string) => string;
}

export type Compiled = { readonly pushdown: Pushdown } | { readonly refused: readonly string[] };

/**
 * Compiles the rules of a collection to stages that give what `compileDocuments` gives, document by document. What a
 * server cannot do in some documents (a type that it hands to no function, a nesting that a rule covers whole) is left
 * to the worker by `allowed` and `made`; what it can do in none is refused, with the reason.
 */
export function compilePushdown(rules: CollectionRules, keys: JobKeys, options: PushdownOptions): Compiled {
  const sealed = sealedPaths(rules);
  if (sealed.length > 0) return { refused: sealed };
  const decisions = compileDecisions(rules, keys);
  const refused = refusals(decisions);
  if (refused.length > 0) return { refused };
  const key = options.keyText ?? ((domain) => Buffer.from(keys.domainKey(domain)).toString('hex'));
  const values = decisions.targets.map((rule) =>
    serverValue(rule, { key, allowKeyOnServer: options.allowKeyOnServer }),
  );
  const impossible = neverOnServer(decisions, values);
  if (impossible.length > 0) return { refused: impossible };
  const root = buildStates(decisions.patterns, decisions.unlisted, decisions.derivedCodes);
  return new Compiler(decisions, values, root).compile();
}

function sealedPaths({ fields, derive = [] }: CollectionRules): string[] {
  const seals = (value: unknown) => [...nestedSpecs(value)].some(({ name }) => name === SEALED);
  const paths = [
    ...fields.flatMap(({ path, apply, types }) => (seals([apply, types]) ? path : [])),
    ...derive.flatMap(({ name, apply }) => (seals(apply) ? name : [])),
  ];
  return paths.map(
    (path) => `${path}: retain seals with day keys and random salts, which stay in the workers`,
  );
}

function refusals({ patterns }: Decisions): string[] {
  return patterns.flatMap(({ path, target }) => {
    if (path.steps.some(({ deep }) => deep))
      return 'a path with ** goes to any depth, which an expression does not';
    if (path.steps.some(({ kind }) => kind === 'index'))
      return 'a path names an element of an array by its index';
    return path.keys && target > 0 ? 'keys that are data (~) are changed in the worker only' : [];
  });
}

/** Fields of which no value could be transformed on the server: then nothing is gained. */
function neverOnServer({ targets }: Decisions, values: readonly ServerValue[]): string[] {
  const reasons = new Map<string, string | undefined>();
  for (const [i, { path, type }] of targets.entries()) {
    if (type === KEY_NAME) continue;
    const value = values[i]!;
    if (value.at === 'server') reasons.set(path, undefined);
    else if (!reasons.has(path) || (type === BSON.string && reasons.get(path) !== undefined))
      reasons.set(path, value.reason);
  }
  return [...reasons].flatMap(([path, reason]) => (reason === undefined ? [] : `${path}: ${reason}`));
}

class Compiler {
  private readonly places: Places;

  constructor(
    private readonly decisions: Decisions,
    private readonly values: readonly ServerValue[],
    private readonly root: FieldState,
  ) {
    this.places = new Places(values);
  }

  compile(): Compiled {
    const { places, root } = this;
    const stages = this.stages();
    const allowed = all([places.allowedObject(root, '$$ROOT', 0) ?? [], ...this.derivable()].flat());
    const made = all([places.madeObject(root, '$$ROOT', 0) ?? [], ...this.derivedMade('$')].flat());
    const probe = this.probe();
    if (places.unnameable.length > 0)
      return { refused: ['a rule names a field whose name holds a dot or begins with $'] };
    return {
      pushdown: {
        ...(allowed !== undefined && { allowed }),
        ...{ stages, warnings: this.warnings() },
        ...(made !== undefined && { made, probe }),
      },
    };
  }

  private stages(): Stage[] {
    const { places, root } = this;
    const derived = this.derived();
    const added: Stage[] = Object.keys(derived).length > 0 ? [{ $addFields: derived }] : [];
    const names = root.names.all.filter(({ state }) => !isDerived(state));
    if (isWhole(root.other, DROP) && names.length > 0 && names.every(({ state }) => isWhole(state, KEEP))) {
      const kept = [...names.map(({ name }) => name), ...Object.keys(derived)].map(
        (name) => [name, 1] as const,
      );
      return [...added, { $project: Object.fromEntries(kept) }];
    }
    if (places.change(root.other, '$$p0.v', 1) === undefined) {
      const changed = names.flatMap(({ name, state }) => {
        const made = places.change(state, `$${name}`, 1);
        return made === undefined ? [] : [[name, made] as const];
      });
      const fields = { ...Object.fromEntries(changed), ...derived };
      return Object.keys(fields).length === 0 ? [] : [{ $addFields: fields }];
    }
    return [...added, { $replaceRoot: { newRoot: places.changeObject(root, '$$ROOT', 0) } }];
  }

  /** Derived fields by name. */
  private derived(): Record<string, Expression> {
    return Object.fromEntries(
      this.decisions.derived.map(({ name, from, codes }) => {
        const value = `$${from.join('.')}`;
        const branches: Branch[] = [...TYPE_NAMES].flatMap(([byte, type]) => {
          const made = codes[byte]! > 0 ? this.values[codes[byte]! - 1] : undefined;
          const is = { $eq: [{ $type: value }, type] };
          return made?.at === 'server' && type !== 'uuid' ? when(is, made.make(value)) : [];
        });
        const nothing = { $in: [{ $type: value }, ['null', 'undefined']] };
        branches.push(when(nothing, null));
        return [name, { $switch: { branches, default: '$$REMOVE' } }];
      }),
    );
  }

  /** What keeps a document from having its fields derived on the server. */
  private derivable(): Expression[] {
    return this.decisions.derived.flatMap(({ from, codes }) => {
      const value = `$${from.join('.')}`;
      const bad = [...TYPE_NAMES].flatMap(([byte, type]) => {
        const code = codes[byte]!;
        const refused = code <= REFUSE || (code > 0 && this.values[code - 1]!.at === 'worker');
        return refused && type !== 'uuid' ? type : [];
      });
      const arrays = from
        .slice(0, -1)
        .map((_, i) => ({ $not: [{ $isArray: [`$${from.slice(0, i + 1).join('.')}`] }] }));
      return [...arrays, ...(bad.length > 0 ? [{ $not: [{ $in: [{ $type: value }, bad] }] }] : [])];
    });
  }

  private derivedMade(prefix: string): Expression[] {
    const mayFail = ({ codes }: Decisions['derived'][number]) =>
      codes.some((code) => {
        const made = this.values[code - 1];
        return made?.at === 'server' && made.mayFail;
      });
    return this.decisions.derived
      .filter(mayFail)
      .map(({ name }) => ({ $ne: [`${prefix}${name}`, { $literal: UNABLE }] }));
  }

  /** The document as it would become, and its derived fields, beside each other; undefined where nothing can fail. */
  private probe(): Pushdown['probe'] {
    const { places, root } = this;
    const made = all([places.madeObject(root, '$becomes', 0) ?? [], ...this.derivedMade('$derived.')].flat());
    if (made === undefined) return undefined;
    const becomes = places.changeObject(root, '$$ROOT', 0);
    const derived = this.derived();
    return {
      fields: {
        ...(becomes !== undefined && { becomes }),
        // An empty one would be refused.
        ...(Object.keys(derived).length > 0 && { derived }),
      },
      made,
    };
  }

  private warnings(): string[] {
    const uses = new Set(this.values.flatMap((value) => (value.at === 'server' ? (value.uses ?? []) : [])));
    return [
      ...(uses.size > 0
        ? [
            'it uses $function, which MongoDB calls deprecated since 8.0 and which needs security.javascriptEnabled',
          ]
        : []),
      ...(uses.has('key')
        ? [
            'keys of its fields are part of the pipeline: the profiler, logs and currentOp of the server may show them',
          ]
        : []),
    ];
  }
}
