import { buildStates, type FieldState } from './match.js';
import { parseFieldPath } from './paths.js';
import type { CollectionRules, DerivedField, FieldRule } from './types.js';

/** A place in documents, as people write it, with what decides the values there. */
export interface Place {
  /** `orders[].address.street`; `*` for names that may be data. `''` for the document. */
  readonly path: string;
  /** Undefined: nobody does, and `unlisted` says what becomes of them. */
  readonly rule: FieldRule | DerivedField | undefined;
  /** What decides the names below that no rule names; undefined: they stay. */
  readonly keys: FieldRule | undefined;
  /** No path goes on below: what decides this place decides all that lies there. */
  readonly ends: boolean;
  child(name: string): Place;
  element(index: number): Place;
}

/** Names of one place that are told apart: more are no schema. */
const MOST_NAMES = 200;

/** The place of whole documents. */
export function placesOf({ fields, derive = [] }: CollectionRules): Place {
  const patterns = fields.flatMap((rule, at) => {
    const path = parseFieldPath(rule.path);
    if (typeof path === 'string') return [];
    const closes = rule.apply.name === 'drop' || rule.apply.name === 'null';
    return [{ path, codes: Int16Array.of(path.keys ? 0 : at + 1), target: path.keys ? at + 1 : 0, closes }];
  });
  const derived = new Map(derive.map(({ name }, at) => [name, Int16Array.of(-1 - at)] as const));
  const ruleOf = (code: number) => (code < 0 ? derive[-1 - code] : fields[code - 1]);
  return new KnownPlace('', buildStates(patterns, Int16Array.of(0), derived), ruleOf);
}

class KnownPlace implements Place {
  readonly rule: Place['rule'];
  readonly keys: FieldRule | undefined;
  readonly ends: boolean;
  private readonly named: ReadonlyMap<string, FieldState>;
  private readonly children = new Map<string, Place>();
  private readonly elements = new Map<FieldState, Place>();

  constructor(
    readonly path: string,
    private readonly state: FieldState,
    private readonly ruleOf: (code: number) => FieldRule | DerivedField | undefined,
  ) {
    this.rule = ruleOf(state.codes[0]!);
    this.keys = state.keys > 0 ? (ruleOf(state.keys) as FieldRule) : undefined;
    this.ends = state.leaf;
    this.named = new Map(state.leaf ? [] : state.names.all.map(({ name, state: of }) => [name, of]));
  }

  child(name: string): Place {
    const own = this.named.get(name);
    // Of names inside of documents that no rule knows, nobody knows whether they are data.
    const shown = own || (this.path === '' && !this.state.mapped && isName(name)) ? name : '*';
    const known = this.children.get(shown);
    if (known) return known;
    if (!own && shown !== '*' && this.children.size > MOST_NAMES) return this.child('\0');
    const path = this.path === '' ? shown : `${this.path}.${shown}`;
    const place = new KnownPlace(path, own ?? (this.state.leaf ? this.state : this.state.other), this.ruleOf);
    this.children.set(shown, place);
    return place;
  }

  element(index: number): Place {
    const { state } = this;
    const of = state.leaf ? state : (state.indices.get(index) ?? state.element);
    const known = this.elements.get(of);
    if (known) return known;
    const place = new KnownPlace(`${this.path}[]`, of, this.ruleOf);
    this.elements.set(of, place);
    return place;
  }
}

/** It looks like a name that a program has; anything else may be data. */
function isName(name: string): boolean {
  return /^[A-Za-z_$][A-Za-z_-]*\d{0,2}[A-Za-z_-]*$/.test(name) && name.length <= 40;
}
