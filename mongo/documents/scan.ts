import {
  BSON,
  BsonMistake,
  containerEnd,
  int32,
  MAX_DEPTH,
  TYPE_NAMES,
  tableType,
  UUID,
  valueEnd,
} from './bson.js';
import { Edits } from './edits.js';
import { DERIVED, DESCEND, DROP, EMPTY, type FieldState, KEEP, REFUSE } from './match.js';
import type { Target } from './target.js';

/** Where a refused document is wrong. */
export interface Refusal {
  readonly reason: string;
  readonly path: string;
}

/** Walks through raw documents along the states of the rules, and notes what has to change. */
export class Scanner {
  readonly edits = new Edits();
  /** Derived fields that the current document has already, by number. */
  readonly present: Uint8Array;
  /** Of the current document. */
  rootFrame = 0;
  private firstSlot = 0;
  private bytes: Buffer = Buffer.alloc(0);
  private document = 0;
  /** Where the scanner stands, by depth: the state of the document or array, and where the element's name starts. */
  private readonly states: FieldState[];
  private readonly arrays = new Uint8Array(MAX_DEPTH + 2);
  private readonly names = new Int32Array(MAX_DEPTH + 2);
  private depth = 0;

  constructor(
    private readonly root: FieldState,
    /** Target n is `targets[n - 1]`. */
    private readonly targets: readonly Target[],
    private readonly reasons: readonly string[],
    derived: number,
  ) {
    this.present = new Uint8Array(derived);
    this.states = new Array(MAX_DEPTH + 2).fill(root);
  }

  /**
   * Notes the edits of one document. One that is refused leaves none.
   *
   * @param document Its index in the batch.
   */
  scan(bytes: Buffer, document: number): Refusal | undefined {
    const { slots, frames } = this.edits;
    this.bytes = bytes;
    this.document = document;
    this.firstSlot = slots;
    this.depth = 0;
    if (this.present.length > 0) this.present.fill(0);
    try {
      if (bytes.length < 5 || int32(bytes, 0) !== bytes.length || bytes[bytes.length - 1] !== 0) {
        throw new BsonMistake('not BSON: a length that cannot be right');
      }
      this.rootFrame = this.edits.addFrame(0, -1);
      this.walk(0, bytes.length, this.root, this.rootFrame, false);
      return undefined;
    } catch (error) {
      if (!(error instanceof BsonMistake)) throw error;
      this.rollback(slots, frames);
      return { reason: error.message, path: this.path() };
    }
  }

  /** Forgets the current document's edits. */
  rollback(slots: number, frames: number): void {
    this.edits.slots = slots;
    this.edits.frames = frames;
    for (const target of this.targets) target.forget(this.document);
  }

  /** Goes through the elements of a document or array that starts at `start` and ends before `end`. */
  private walk(start: number, end: number, state: FieldState, frame: number, array: boolean): void {
    if (this.depth > MAX_DEPTH) throw new BsonMistake(`nested deeper than ${MAX_DEPTH} levels`);
    const { bytes, names } = this;
    const limit = end - 1;
    const depth = this.depth++;
    this.states[depth] = state;
    this.arrays[depth] = array ? 1 : 0;
    // No name: nothing is shown of bytes that may be none.
    names[depth] = limit;
    let index = 0;
    let at = start + 4;
    while (at < limit) {
      const element = at++;
      // The zero at `limit` ends the loop at the latest.
      while (bytes[at] !== 0) at++;
      if (at >= limit) throw new BsonMistake('not BSON: a name without end');
      names[depth] = element + 1;
      let child = state;
      if (array) child = this.elementState(state, index++);
      else if (!state.leaf) child = this.namedState(state, element + 1, at, frame);
      const value = at + 1;
      const type = bytes[element]!;
      at = valueEnd(bytes, type, value, limit);
      if (!child.kept) this.value(type, element, value, at, child, frame);
    }
    if (at !== limit) throw new BsonMistake('not BSON: a document without its end');
    this.depth--;
  }

  private elementState(state: FieldState, index: number): FieldState {
    if (state.leaf) return state;
    return (state.indices.size > 0 ? state.indices.get(index) : undefined) ?? state.element;
  }

  private namedState(state: FieldState, start: number, end: number, frame: number): FieldState {
    const named = state.names.find(this.bytes, start, end);
    if (named !== undefined) return named;
    if (state.keys > 0) this.addKey(state.keys, start, end, frame);
    return state.other;
  }

  private addKey(target: number, start: number, end: number, frame: number): void {
    const item = this.targets[target - 1]!.add(this.document, this.bytes, start, end);
    this.edits.addSlot(target, item, start - 1, start, end, frame);
  }

  /** Notes what happens to one value that is not kept whatever it is. */
  private value(
    type: number,
    element: number,
    start: number,
    end: number,
    state: FieldState,
    frame: number,
  ): void {
    const { bytes } = this;
    const code = state.codes[type === BSON.binData ? tableType(bytes, type, start) : type]!;
    if (type === BSON.object || type === BSON.array) {
      this.container(type, element, start, end, state, frame, code);
    } else if (code > 0) {
      const item = this.targets[code - 1]!.add(this.document, bytes, start, end);
      if (item >= 0) this.edits.addSlot(code, item, element, start, end, frame);
      else if (this.targets[code - 1]!.rule.special === 'refuse') throw new BsonMistake(SPECIAL);
    } else if (code !== KEEP) this.decided(code, type, element, start, end, state, frame);
  }

  private container(
    type: number,
    element: number,
    start: number,
    end: number,
    state: FieldState,
    frame: number,
    code: number,
  ): void {
    const whole = code <= DERIVED && code > REFUSE;
    if (!whole && (!state.leaf || code === DESCEND)) {
      this.walk(start, end, state, this.edits.addFrame(start, frame), type === BSON.array);
    } else if (code !== KEEP) this.decided(code, type, element, start, end, state, frame);
  }

  /** What is no transformer's. */
  private decided(
    code: number,
    type: number,
    element: number,
    start: number,
    end: number,
    state: FieldState,
    frame: number,
  ): void {
    if (code === DROP) this.dropName(element);
    if (code === EMPTY || code === DROP) this.edits.addSlot(code, 0, element, start, end, frame);
    else if (code <= REFUSE) {
      // Nothing is where a path would have gone on.
      const nothing = (type === BSON.null || type === BSON.undefined) && !state.leaf;
      if (!nothing) throw new BsonMistake(this.reasons[REFUSE - code]!);
    } else if (code <= DERIVED) {
      this.present[DERIVED - code] = 1;
      this.edits.addSlot(code, 0, element, start, end, frame);
    }
  }

  /** The name of an element that goes need not be replaced. */
  private dropName(element: number): void {
    const { edits } = this;
    const last = edits.slots - 1;
    // Offsets are those of one document.
    if (last < this.firstSlot || edits.element[last] !== element || edits.start[last] !== element + 1) return;
    this.targets[edits.target[last]! - 1]!.forgetLast();
    edits.slots = last;
  }

  /** Where the scanner stands, without what may be data. */
  private path(): string {
    const { bytes, states, arrays, names } = this;
    let text = '';
    for (let depth = 0; depth < this.depth; depth++) {
      const start = names[depth]!;
      const end = bytes.indexOf(0, start);
      const data = states[depth]!.mapped && !states[depth]!.names.find(bytes, start, end);
      if (arrays[depth]) text += '[]';
      else text += `${text === '' ? '' : '.'}${data ? '?' : shownName(bytes, start, end)}`;
    }
    return text;
  }
}

const SPECIAL =
  'a value that this transformer cannot take (NaN, an infinity, -0.0, a date outside of the years 1 to 9999); `special: keep` keeps it';

/** A name that looks like one a program has; anything else may be data. */
export function shownName(bytes: Uint8Array, start: number, end: number): string {
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
  return /^[A-Za-z_$][A-Za-z_-]*\d{0,2}[A-Za-z_-]*$/.test(name) && name.length <= 40 ? name : '?';
}

/** The value at a path of names; undefined where the document has none. The first field of a name counts. */
export function lookup(
  bytes: Buffer,
  names: readonly Uint8Array[],
): { readonly type: number; readonly start: number; readonly end: number } | undefined {
  let start = 0;
  let end = bytes.length;
  for (const [depth, name] of names.entries()) {
    const found = member(bytes, start, end, name);
    if (!found || depth === names.length - 1) return found;
    if (found.type !== BSON.object) return undefined;
    ({ start, end } = found);
  }
  return undefined;
}

function member(bytes: Buffer, from: number, to: number, name: Uint8Array) {
  const limit = containerEnd(bytes, from, to) - 1;
  for (let at = from + 4; at < limit; ) {
    const type = bytes[at]!;
    const nameEnd = bytes.indexOf(0, at + 1);
    if (nameEnd < 0 || nameEnd >= limit) throw new BsonMistake('not BSON: a name without end');
    const end = valueEnd(bytes, type, nameEnd + 1, limit);
    if (nameEnd - at - 1 === name.length && bytes.compare(name, 0, name.length, at + 1, nameEnd) === 0) {
      return { type: tableType(bytes, type, nameEnd + 1), start: nameEnd + 1, end };
    }
    at = end;
  }
  return undefined;
}

/** The name of a type byte, for reasons. */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type === UUID ? UUID : type) ?? 'value of no type';
}
