import { LetheError } from '../../errors/errors.js';
import { BSON, int32, OLD_BINARY, UUID, writeInt32 } from './bson.js';
import type { Edits } from './edits.js';
import type { Encoded } from './encode.js';
import { DERIVED, DROP, EMPTY } from './match.js';

/** A derived field in one document: the bytes of its name with their zero, and its value; undefined: it gets none. */
export interface Derived {
  readonly name: Uint8Array;
  readonly values: Encoded;
  readonly item: number;
}

/** The edits of one document, as indices: from the first up to before the last. */
export interface Part {
  readonly firstSlot: number;
  readonly lastSlot: number;
  readonly firstFrame: number;
  readonly lastFrame: number;
}

/** Bytes of a document without fields: its length and the zero at its end. */
const LEAST = 5;

/** Below that, a loop is faster than a call. */
const SHORT = 96;

/** Puts documents together from their old bytes and what changed. */
export class Assembler {
  /** By slot: how many bytes come, and where those begin that go. */
  private readonly sizes: Int32Array;
  private readonly froms: Int32Array;
  /** By frame: by how much it grows, and where its length stands in the output. */
  private readonly grown: Int32Array;
  private readonly placed: Int32Array;
  /** Of the document that was measured last: its longest unchanged span, and how far that moves. */
  private longest = 0;
  private longestEnd = 0;
  private shift = 0;

  constructor(
    private readonly edits: Edits,
    /** Of target n: `encoded[n - 1]`. */
    private readonly encoded: readonly Encoded[],
    /** By slot. */
    private readonly derived: ReadonlyMap<number, Derived>,
  ) {
    this.sizes = new Int32Array(edits.slots);
    this.froms = new Int32Array(edits.slots);
    this.grown = new Int32Array(edits.frames);
    this.placed = new Int32Array(edits.frames);
  }

  /** Bytes of a document after its edits. Must be called right before `write`. */
  measure(document: Uint8Array, { firstSlot, lastSlot, firstFrame, lastFrame }: Part): number {
    const { sizes, froms, grown } = this;
    const { frame, frameParent, end } = this.edits;
    let kept = 0;
    let more = 0;
    this.longest = this.longestEnd = this.shift = 0;
    for (let slot = firstSlot; slot < lastSlot; slot++) {
      const size = this.sizeOf(slot, document);
      const from = this.from(slot);
      sizes[slot] = size;
      froms[slot] = from;
      this.span(kept, from, more);
      kept = end[slot]!;
      const change = size - (kept - from);
      grown[frame[slot]!]! += change;
      more += change;
    }
    this.span(kept, document.length, more);
    for (let f = lastFrame - 1; f > firstFrame; f--) grown[frameParent[f]!]! += grown[f]!;
    const length = document.length + more;
    // Not a number, it would be written over other documents of the block.
    if (!(length >= LEAST)) throw new LetheError('Internal', 'The edits of a document do not fit it.');
    return length;
  }

  /** Room that `write` needs for a document of `size` bytes after its edits. */
  room(document: Uint8Array, size: number): number {
    return Math.max(size, document.length + Math.max(0, this.shift));
  }

  /** Writes the document that was measured last. */
  write(document: Uint8Array, part: Part, out: Buffer, start: number): void {
    const { sizes, froms, placed } = this;
    const { element, end, frameStart, frameSlots } = this.edits;
    const { firstSlot, lastSlot, firstFrame, lastFrame } = part;
    const { longest } = this;
    this.place(document, out, start);
    let at = start;
    let copied = 0;
    let frame = firstFrame;
    let typeAt = start;
    for (let slot = firstSlot; slot < lastSlot; slot++) {
      for (; frame < lastFrame && frameSlots[frame]! <= slot; frame++) {
        placed[frame] = frameStart[frame]! + at - copied;
      }
      const from = froms[slot]!;
      // Of an element whose name was a slot as well, the type was copied before.
      if (element[slot]! >= copied) typeAt = at + element[slot]! - copied;
      if (copied !== longest) copy(document, copied, from, out, at);
      at += from - copied;
      this.put(slot, document, out, at, typeAt);
      at += sizes[slot]!;
      copied = end[slot]!;
    }
    if (copied !== longest) copy(document, copied, document.length, out, at);
    for (let f = firstFrame; f < frame; f++) {
      const more = this.grown[f]!;
      if (more !== 0) writeInt32(out, placed[f]!, int32(document, frameStart[f]!) + more);
    }
  }

  private span(from: number, to: number, shift: number): void {
    if (to - from <= this.longestEnd - this.longest) return;
    this.longest = from;
    this.longestEnd = to;
    this.shift = shift;
  }

  /**
   * Gets the longest span to its place, by a copy of the whole document: a view of the span would cost more than the
   * bytes around it, which are overwritten.
   */
  private place(document: Uint8Array, out: Uint8Array, start: number): void {
    const { shift, longest, longestEnd } = this;
    out.set(document, start + Math.max(0, shift));
    if (shift < 0) out.copyWithin(start + longest + shift, start + longest, start + longestEnd);
  }

  /** First byte that a slot replaces. */
  private from(slot: number): number {
    const target = this.edits.target[slot]!;
    const whole = target === DROP || (target <= DERIVED && this.edits.element[slot]! >= 0);
    return whole ? this.edits.element[slot]! : this.edits.start[slot]!;
  }

  private sizeOf(slot: number, document: Uint8Array): number {
    const target = this.edits.target[slot]!;
    if (target > 0)
      return valueSize(this.encoded[target - 1]!, this.edits.item[slot]!, this.subtype(slot, document));
    const derived = target <= DERIVED ? this.derived.get(slot) : undefined;
    return derived ? 1 + derived.name.length + valueSize(derived.values, derived.item, 0) : 0;
  }

  private subtype(slot: number, document: Uint8Array): number {
    return document[this.edits.start[slot]! + 4] ?? 0;
  }

  private put(slot: number, document: Uint8Array, out: Buffer, at: number, typeAt: number): void {
    const target = this.edits.target[slot]!;
    const derived = target <= DERIVED ? this.derived.get(slot) : undefined;
    if (derived) {
      const { name, values, item } = derived;
      const { type } = values;
      out[at] = values.values[item] === null ? BSON.null : type === UUID ? BSON.binData : type;
      out.set(name, at + 1);
      putValue(values, item, 0, out, at + 1 + name.length);
    } else if (target > 0) {
      const values = this.encoded[target - 1]!;
      const item = this.edits.item[slot]!;
      if (values.values[item] === null) out[typeAt] = BSON.null;
      else {
        if (values.retyped) out[typeAt] = values.type;
        putValue(values, item, this.subtype(slot, document), out, at);
      }
    } else if (target === EMPTY) out[typeAt] = BSON.null;
  }
}

function valueSize({ form, values, offsets }: Encoded, item: number, subtype: number): number {
  if (values[item] === null) return 0;
  const size = offsets[item + 1]! - offsets[item]!;
  if (form === 'text') return size + 5;
  return form === 'binary' ? size + (subtype === OLD_BINARY ? 9 : 5) : size;
}

function putValue(
  { form, values, bytes, offsets }: Encoded,
  item: number,
  subtype: number,
  out: Buffer,
  at: number,
): void {
  if (values[item] === null) return;
  const from = offsets[item]!;
  const to = offsets[item + 1]!;
  let start = at;
  if (form === 'text') {
    writeInt32(out, at, to - from + 1);
    out[at + 4 + to - from] = 0;
    start += 4;
  } else if (form === 'binary') {
    const old = subtype === OLD_BINARY;
    writeInt32(out, at, to - from + (old ? 4 : 0));
    out[at + 4] = subtype;
    if (old) writeInt32(out, at + 5, to - from);
    start += old ? 9 : 5;
  }
  copy(bytes, from, to, out, start);
}

function copy(bytes: Uint8Array, from: number, to: number, out: Buffer, at: number): void {
  if (to - from > SHORT) out.set(new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from), at);
  else for (let i = from, o = at; i < to; i++, o++) out[o] = bytes[i]!;
}
