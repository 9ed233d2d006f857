import type { FieldPath, FieldStep } from './paths.js';

/**
 * What happens to values at one place of a document, by type byte: `KEEP`, `EMPTY`, `DROP`, `DESCEND` (containers: look
 * at what they hold), a target (1 and up), or a refusal (`REFUSE` and below: reason `REFUSE - code`).
 */
export type Codes = Int16Array;
export const KEEP = 0;
export const EMPTY = -1;
export const DROP = -2;
export const DESCEND = -3;
/** The field that derivation `DERIVED - code` makes stands here. */
export const DERIVED = -4;
export const REFUSE = -1000;

/** A place in documents, as far as the rules can tell it from others. */
export interface FieldState {
  readonly codes: Codes;
  /** Whatever lies below is treated like this. */
  readonly leaf: boolean;
  /** Nothing happens here, nor below. */
  readonly kept: boolean;
  /** The target of the keys below that no rule names; 0: they stay. */
  readonly keys: number;
  /** Whether some path goes on by `*` here, so that unknown names below are data. */
  readonly mapped: boolean;
  /** Fields that rules name. */
  readonly names: NameTable;
  /** Every other field. */
  other: FieldState;
  /** Elements whose index rules name. */
  readonly indices: Map<number, FieldState>;
  element: FieldState;
}

export interface Pattern {
  readonly path: FieldPath;
  /** What it decides; for paths that name keys, the target of the keys is in `target`. */
  readonly codes: Codes;
  readonly target: number;
  /** It empties or drops what it names; paths that come there by more wildcards do not reach into that. */
  readonly closes: boolean;
  /** What it decides of a document's `_id` instead, where that differs. */
  readonly idCodes?: Codes;
}

type Open = readonly (readonly [pattern: number, step: number])[];

/**
 * The state of a whole document. Of two patterns that name one place, the one that names it itself counts before those
 * that name something above it, then the one with fewer wildcards, then the first.
 *
 * @param unlisted Codes of what no pattern names.
 * @param derived Codes of fields at the top, by name; they come before all patterns.
 */
export function buildStates(
  given: readonly Pattern[],
  unlisted: Codes,
  derived: ReadonlyMap<string, Codes>,
): FieldState {
  // Pattern n as it counts inside of `_id` stands at `given.length + n`.
  const patterns = [
    ...given,
    ...given.map((pattern) => ({ ...pattern, codes: pattern.idCodes ?? pattern.codes })),
  ];
  const known = new Map<string, FieldState>();
  const identity = new Map<Codes, number>();
  const number = (codes: Codes): number => {
    if (!identity.has(codes)) identity.set(codes, identity.size);
    return identity.get(codes)!;
  };
  const stepOf = ([pattern, at]: readonly [number, number]): FieldStep | undefined =>
    patterns[pattern]!.path.steps[at];

  function state(open: Open, above: Codes): FieldState {
    const done = open.filter((item) => stepOf(item) === undefined && !patterns[item[0]]!.path.keys);
    const own = best(done.map(([pattern]) => patterns[pattern]!));
    const codes = own?.codes ?? above;
    const onward = open.filter((item) => stepOf(item) !== undefined && !(own?.closes && vaguer(item, own)));
    const id = `${onward.map(String).sort().join(';')}|${number(codes)}`;
    const found = known.get(id);
    if (found) return found;
    const keys = onward.find(([pattern, at]) => {
      const { path } = patterns[pattern]!;
      return path.keys && at === path.steps.length - 1;
    });
    const fresh = {
      codes,
      leaf: onward.length === 0,
      kept: onward.length === 0 && codes.every((code) => code === KEEP),
      keys: keys ? patterns[keys[0]]!.target : 0,
      mapped: onward.some((item) => stepOf(item)!.kind === 'anyName'),
      names: new NameTable(),
      indices: new Map<number, FieldState>(),
    } as unknown as FieldState & { other: FieldState; element: FieldState };
    known.set(id, fresh);
    const child = (key: string | number | null, element: boolean) =>
      onward.length === 0 ? fresh : state(advance(onward, key, element), codes);
    fresh.other = child(null, false);
    fresh.element = child(null, true);
    for (const item of onward) {
      const step = stepOf(item)!;
      if (step.kind === 'name') fresh.names.set(step.name, child(step.name, false));
      if (step.kind === 'index') fresh.indices.set(step.index, child(step.index, true));
    }
    return fresh;
  }

  /** Whether a pattern came here by more wildcards than another one. */
  function vaguer([pattern, at]: readonly [number, number], than: Pattern): boolean {
    const { steps } = patterns[pattern]!.path;
    return steps[at]!.deep || wildcards(steps.slice(0, at)) > wildcards(than.path.steps);
  }

  function advance(open: Open, key: string | number | null, element: boolean): Open {
    const next = new Map<string, readonly [number, number]>();
    for (const item of open) {
      const [pattern, at] = item;
      const step = stepOf(item)!;
      if (step.deep) next.set(`${pattern},${at}`, item);
      if (matches(step, key, element)) next.set(`${pattern},${at + 1}`, [pattern, at + 1]);
    }
    return [...next.values()];
  }

  const start = given.map((_, pattern) => [pattern, 0] as const);
  const root = state(start, unlisted);
  const guarded = given.some(({ idCodes }) => idCodes);
  if (derived.size === 0 && !guarded) return root;
  // A state of its own: with paths like **.a, places further down may share the root's.
  const names = root.names.copy();
  if (guarded) {
    const inside = advance(start, '_id', false).map(([at, step]) => [at + given.length, step] as const);
    names.set('_id', state(inside, unlisted));
  }
  for (const [name, codes] of derived) names.set(name, state([], codes));
  return { ...root, leaf: false, kept: false, names };
}

function matches(step: FieldStep, key: string | number | null, element: boolean): boolean {
  switch (step.kind) {
    case 'name':
      return !element && step.name === key;
    case 'anyName':
      return !element;
    case 'index':
      return element && step.index === key;
    case 'anyElement':
      return element;
  }
}

function best(done: readonly Pattern[]): Pattern | undefined {
  return done.reduce<Pattern | undefined>(
    (chosen, other) =>
      chosen && wildcards(chosen.path.steps) <= wildcards(other.path.steps) ? chosen : other,
    undefined,
  );
}

function wildcards(steps: readonly FieldStep[]): number {
  return steps.reduce(
    (sum, step) =>
      sum + (step.deep ? 2 : 0) + (step.kind === 'anyName' || step.kind === 'anyElement' ? 1 : 0),
    0,
  );
}

interface Entry {
  readonly name: Uint8Array;
  hash: number;
  readonly state: FieldState;
}

/** States by field name, found by the name's bytes: a name is never decoded. */
export class NameTable {
  private readonly entries: Entry[] = [];
  private buckets: (Entry | undefined)[] = [];
  /** Names that are made alike agree in few of their bytes. */
  private hashOf = hashOfFour;

  set(name: string, state: FieldState): void {
    const bytes = Buffer.from(name);
    const hash = this.hashOf(bytes, 0, bytes.length);
    const at = this.entries.findIndex((entry) => bytes.equals(entry.name));
    this.entries.splice(at < 0 ? this.entries.length : at, at < 0 ? 0 : 1, { name: bytes, hash, state });
    if (this.entries.filter((entry) => entry.hash === hash).length > MOST_ALIKE) this.hashAll();
    let size = 4;
    while (size < 4 * this.entries.length) size *= 2;
    this.buckets = new Array(size).fill(undefined);
    for (const entry of this.entries) {
      let slot = entry.hash & (size - 1);
      while (this.buckets[slot]) slot = (slot + 1) & (size - 1);
      this.buckets[slot] = entry;
    }
  }

  private hashAll(): void {
    this.hashOf = hashOfAll;
    for (const entry of this.entries) entry.hash = hashOfAll(entry.name, 0, entry.name.length);
  }

  copy(): NameTable {
    const copy = new NameTable();
    copy.hashOf = this.hashOf;
    copy.entries.push(...this.entries);
    copy.buckets = this.buckets.slice();
    return copy;
  }

  /** The state of the name at `from` … `to`. */
  find(bytes: Uint8Array, from: number, to: number): FieldState | undefined {
    const mask = this.buckets.length - 1;
    if (mask < 0) return undefined;
    const hash = this.hashOf(bytes, from, to);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.buckets[slot];
      if (entry === undefined) return undefined;
      if (entry.hash === hash && same(entry.name, bytes, from, to)) return entry.state;
    }
  }

  /** All names with their states. */
  get all(): readonly { readonly name: string; readonly state: FieldState }[] {
    return this.entries.map(({ name, state }) => ({ name: Buffer.from(name).toString(), state }));
  }

  /** Whether a name is in the table. */
  has(name: string): boolean {
    return this.entries.some((entry) => Buffer.from(name).equals(entry.name));
  }
}

/** So many names may agree in what `hashOfFour` reads. */
const MOST_ALIKE = 4;

/** Of four of its bytes: most names of one document do not agree in all of them. */
function hashOfFour(bytes: Uint8Array, from: number, to: number): number {
  if (from === to) return 0;
  const length = to - from;
  const ends = bytes[from]! | (bytes[to - 1]! << 8);
  const middle = bytes[from + (length >> 1)]! | (bytes[from + (length >> 2)]! << 8);
  const hash = Math.imul(Math.imul(ends, 0x9e3779b1) ^ (middle + (length << 16)), 0x85ebca6b);
  return hash ^ (hash >>> 15);
}

/** FNV-1a (draft-eastlake-fnv), with its high bits in the low ones. */
function hashOfAll(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

function same(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[from + i] !== name[i]) return false;
  return true;
}
