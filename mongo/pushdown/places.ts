import { BSON, TYPE_NAMES, UUID } from '../documents/bson.js';
import { DERIVED, DESCEND, DROP, EMPTY, type FieldState, KEEP, REFUSE } from '../documents/match.js';
import type { BsonType } from '../documents/types.js';
import { UNABLE } from './runtime/server.js';
import type { Expression, ServerValue } from './values.js';

/**
 * The states of a collection's rules as expressions about a value: what becomes of it, whether the server may be asked
 * for that, and whether it was able. A value is given by the expression that names it: `$address`, `$$e1`.
 */
export class Places {
  /** Names that no expression can hold. */
  readonly unnameable: string[] = [];

  constructor(
    /** Target n is `values[n - 1]`. */
    private readonly values: readonly ServerValue[],
  ) {}

  /** What becomes of a value; undefined where it stays as it is. `$$REMOVE` where it goes. */
  change(state: FieldState, value: string, depth = 0): Expression | undefined {
    if (isWhole(state, DROP)) return '$$REMOVE';
    if (isWhole(state, EMPTY)) return { $cond: [isNothing(value), value, null] };
    const branches = this.scalars(state, value);
    if (!state.leaf) {
      const object = this.changeObject(state, value, depth);
      if (object !== undefined) branches.push(when(typeIs(value, ['object']), object));
      const array = this.changeArray(state, value, depth);
      if (array !== undefined) branches.push(when({ $isArray: [value] }, array));
    }
    return branches.length === 0 ? undefined : { $switch: { branches, default: value } };
  }

  private scalars(state: FieldState, value: string): Branch[] {
    const byCode = new Map<number, BsonType[]>();
    for (const [byte, type] of TYPE_NAMES) {
      const code = state.codes[byte]!;
      if (byte === UUID || (isContainer(byte) && !state.leaf)) continue;
      if (code === EMPTY || code === DROP || code > 0) byCode.set(code, [...(byCode.get(code) ?? []), type]);
    }
    return [...byCode].flatMap(([code, types]) => {
      if (code === EMPTY) return when(typeIs(value, types), null);
      if (code === DROP) return when(typeIs(value, types), '$$REMOVE');
      const made = this.values[code - 1]!;
      return made.at === 'server' ? when(typeIs(value, types), made.make(value)) : [];
    });
  }

  private changeArray(state: FieldState, value: string, depth: number): Expression | undefined {
    const as = `e${depth}`;
    const each = this.change(state.element, `$$${as}`, depth + 1);
    return each === undefined ? undefined : { $map: { input: value, as, in: each } };
  }

  /** An object whose other fields stay is merged with those that change; any other is made anew, field by field. */
  changeObject(state: FieldState, value: string, depth: number): Expression | undefined {
    const names = this.named(state, value);
    const changed = names.flatMap(({ name, child, path }) => {
      const made = this.change(child, path, depth + 1);
      return made === undefined ? [] : [[name, made] as const];
    });
    const as = `p${depth}`;
    const other = this.change(state.other, `$$${as}.v`, depth + 1);
    const gone = [state.other, ...names.map(({ child }) => child)].some(mayGo);
    if (other === undefined && !gone) {
      return changed.length === 0 ? undefined : { $mergeObjects: [value, Object.fromEntries(changed)] };
    }
    return this.rebuilt(state, value, as, depth);
  }

  private rebuilt(state: FieldState, value: string, as: string, depth: number): Expression {
    const [key, held] = [`$$${as}.k`, `$$${as}.v`];
    const choose = (of: (child: FieldState) => Expression, standard: Expression): Expression => {
      const branches = state.names.all.flatMap(({ name, state: child }) => {
        const made = of(child);
        return made === standard ? [] : when({ $eq: [key, { $literal: name }] }, made);
      });
      const rest = of(state.other);
      return branches.length === 0 ? rest : { $switch: { branches, default: rest } };
    };
    const stays = choose((child) => staying(child, held), undefined);
    const becomes = choose((child) => this.change(child, held, depth + 1) ?? held, undefined);
    return {
      $arrayToObject: {
        $map: {
          input: { $filter: { input: { $objectToArray: value }, as, cond: stays } },
          as,
          in: { k: key, v: becomes },
        },
      },
    };
  }

  /** Whether the server may be asked for a value; undefined: always. */
  allowed(state: FieldState, value: string, element = false, depth = 0): Expression | undefined {
    const tests: Expression[] = [];
    const refused = this.refusedTypes(state, element);
    if (refused.length === TYPE_NAMES.size - 1) tests.push({ $eq: [{ $type: value }, 'missing'] });
    else if (refused.length === TYPE_NAMES.size - 3 && !refused.some((type) => NOTHING.includes(type)))
      tests.push(isNothing(value));
    else if (refused.length > 0) tests.push({ $not: [typeIs(value, refused)] });
    for (const [byte, type] of TYPE_NAMES) {
      const made = state.codes[byte]! > 0 ? this.values[state.codes[byte]! - 1] : undefined;
      if (made?.at !== 'server' || !made.takes) continue;
      tests.push({ $cond: [typeIs(value, [type]), made.takes(value), true] });
    }
    if (!state.leaf) {
      const object = this.allowedObject(state, value, depth);
      if (object !== undefined) tests.push({ $cond: [typeIs(value, ['object']), object, true] });
      const as = `e${depth}`;
      const each = this.allowed(state.element, `$$${as}`, true, depth + 1);
      if (each !== undefined) tests.push(ofArray(value, as, each));
    }
    return all(tests);
  }

  allowedObject(state: FieldState, value: string, depth: number): Expression | undefined {
    const tests = this.named(state, value).flatMap(
      ({ child, path }) => this.allowed(child, path, false, depth + 1) ?? [],
    );
    const names = state.names.all.map(({ name }) => name);
    const as = `p${depth}`;
    const other = this.allowed(state.other, `$$${as}.v`, false, depth + 1);
    const input = { $objectToArray: value };
    if (this.refusedTypes(state.other, false).length === TYPE_NAMES.size - 1) {
      const keys = { $map: { input, as, in: `$$${as}.k` } };
      tests.push({ $setIsSubset: [keys, { $literal: names }] });
    } else if (other !== undefined) {
      const known = { $in: [`$$${as}.k`, { $literal: names }] };
      tests.push({ $allElementsTrue: [{ $map: { input, as, in: { $or: [known, other] } } }] });
    }
    return all(tests);
  }

  /** Types that the rules refuse, and those that only a worker can do; `uuid` is counted as `binData`. */
  private refusedTypes(state: FieldState, element: boolean): BsonType[] {
    const bad = (byte: number): boolean => {
      const code = state.codes[byte]!;
      if (isContainer(byte))
        return state.leaf && (code === DESCEND || code <= REFUSE || (element && code === DROP));
      if (code <= REFUSE) return state.leaf || !(byte === BSON.null || byte === BSON.undefined);
      if (code === DROP) return element;
      return code > 0 && this.values[code - 1]!.at === 'worker';
    };
    const mixed = state.codes[BSON.binData] !== state.codes[UUID];
    return [...TYPE_NAMES].flatMap(([byte, type]) => {
      if (byte === UUID) return [];
      if (byte === BSON.binData) return mixed || bad(byte) ? type : [];
      return bad(byte) ? type : [];
    });
  }

  /** Whether the server was able to make what stands at a place now; undefined: it always is. */
  made(state: FieldState, value: string, depth = 0): Expression | undefined {
    const tests: Expression[] = [];
    const mayFail = [...TYPE_NAMES.keys()].some((byte) => {
      const made = this.values[state.codes[byte]! - 1];
      return made?.at === 'server' && made.mayFail;
    });
    if (mayFail) tests.push({ $ne: [value, { $literal: UNABLE }] });
    if (!state.leaf) {
      const object = this.madeObject(state, value, depth);
      if (object !== undefined) tests.push({ $cond: [typeIs(value, ['object']), object, true] });
      const as = `e${depth}`;
      const each = this.made(state.element, `$$${as}`, depth + 1);
      if (each !== undefined) tests.push(ofArray(value, as, each));
    }
    return all(tests);
  }

  madeObject(state: FieldState, value: string, depth: number): Expression | undefined {
    const tests = this.named(state, value).flatMap(
      ({ child, path }) => this.made(child, path, depth + 1) ?? [],
    );
    const as = `p${depth}`;
    const other = this.made(state.other, `$$${as}.v`, depth + 1);
    const input = { $objectToArray: value };
    if (other !== undefined) tests.push({ $allElementsTrue: [{ $map: { input, as, in: other } }] });
    return all(tests);
  }

  private named(state: FieldState, value: string) {
    return state.names.all.map(({ name, state: child }) => {
      if (!/^[^.$][^.]*$/.test(name)) this.unnameable.push(name);
      return { name, child, path: value === '$$ROOT' ? `$${name}` : `${value}.${name}` };
    });
  }
}

/** Of a `$switch`. */
export interface Branch {
  readonly case: Expression;
  readonly then: Expression;
}

export function when(test: Expression, result: Expression): Branch {
  // biome-ignore lint/suspicious/noThenProperty: so it is called in the language of aggregations.
  return { case: test, then: result };
}

const NOTHING: readonly BsonType[] = ['null', 'undefined'];

function isContainer(byte: number): boolean {
  return byte === BSON.object || byte === BSON.array;
}

function typeIs(value: string, types: readonly BsonType[]): Expression {
  return types.length === 1 ? { $eq: [{ $type: value }, types[0]] } : { $in: [{ $type: value }, types] };
}

/** Null, undefined, or not there. */
function isNothing(value: string): Expression {
  return { $in: [{ $ifNull: [value, null] }, [null]] };
}

function ofArray(value: string, as: string, each: Expression): Expression {
  return {
    $cond: [{ $isArray: [value] }, { $allElementsTrue: [{ $map: { input: value, as, in: each } }] }, true],
  };
}

export function all(tests: readonly Expression[]): Expression | undefined {
  return tests.length > 1 ? { $and: tests } : tests[0];
}

/** Whether every value at a place that is not nothing gets one code, whatever its type. */
export function isWhole(state: FieldState, code: number): boolean {
  const nothing = code === EMPTY ? KEEP : code;
  return (
    state.leaf &&
    [...TYPE_NAMES].every(([byte, type]) => state.codes[byte] === (NOTHING.includes(type) ? nothing : code))
  );
}

function mayGo(state: FieldState): boolean {
  return [...TYPE_NAMES.keys()].some(
    (byte) => state.codes[byte] === DROP && (state.leaf || !isContainer(byte)),
  );
}

/** Whether a field with that value is there afterwards. */
function staying(state: FieldState, value: string): Expression {
  if (isWhole(state, DROP)) return false;
  if (!mayGo(state)) return true;
  const gone = [...TYPE_NAMES].filter(
    ([byte]) => byte !== UUID && state.codes[byte] === DROP && (state.leaf || !isContainer(byte)),
  );
  return {
    $not: [
      typeIs(
        value,
        gone.map(([, type]) => type),
      ),
    ],
  };
}

/** Whether a place stands for a field that a derivation makes. */
export function isDerived(state: FieldState): boolean {
  const code = state.codes[BSON.string]!;
  return code <= DERIVED && code > REFUSE;
}
