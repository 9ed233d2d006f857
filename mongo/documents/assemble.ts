import { BSON, int32, OLD_BINARY, UUID, writeInt32 } from './bson.js';
import type { Encoded } from './encode.js';
import { DERIVED, DROP, EMPTY } from './match.js';
import type { Edits } from './scan.js';

/** A derived field in one document: the bytes of its name with their zero, and its value; undefined: it gets none. */
export interface Derived {
  readonly name: Uint8Array;
  readonly values: Encoded;
  readonly item: number;
}

/** The part of the edits that belongs to one document, as indices: from the first up to before the last. */
export interface Part {
  readonly slots: readonly [from: number, to: number];
  readonly frames: readonly [from: number, to: number];
}

/** Below that, a loop is faster than a call. */
const SHORT = 40;

/** Puts documents together from their old bytes and what changed. */
export class Assembler {
  private readonly sizes: number[] = [];
  private readonly grown: number[] = [];
  private readonly placed: number[] = [];

  constructor(
    private readonly edits: Edits,
    /** Of target n: `encoded[n - 1]`. */
    private readonly encoded: readonly Encoded[],
    /** By slot. */
    private readonly derived: ReadonlyMap<number, Derived>,
  ) {}

  /** Bytes of a document after its edits. Must be called right before `write`. */
  measure(document: Buffer, { slots, frames }: Part): number {
    const { edits, sizes, grown } = this;
    const [first, last] = frames;
    for (let frame = first; frame < last; frame++) grown[frame - first] = 0;
    for (let slot = slots[0]; slot < slots[1]; slot++) {
      const size = this.sizeOf(slot, document);
      sizes[slot - slots[0]] = size;
      grown[edits.frame[slot]! - first]! += size - (edits.end[slot]! - this.from(slot));
    }
    for (let frame = last - 1; frame > first; frame--) {
      grown[edits.frameParent[frame]! - first]! += grown[frame - first]!;
    }
    return document.length + (last > first ? grown[0]! : 0);
  }

  /** Writes the document that was measured last. */
  write(document: Buffer, { slots, frames }: Part, out: Buffer, start: number): void {
    const { edits, sizes, grown, placed } = this;
    let at = start;
    let copied = 0;
    let frame = frames[0];
    let typeAt = start;
    for (let slot = slots[0]; slot < slots[1]; slot++) {
      for (; frame < frames[1] && edits.frameSlots[frame]! <= slot; frame++) {
        placed[frame - frames[0]] = edits.frameStart[frame]! + at - copied;
      }
      const from = this.from(slot);
      // Of an element whose name was a slot as well, the type was copied before.
      if (edits.element[slot]! >= copied) typeAt = at + edits.element[slot]! - copied;
      copy(document, copied, from, out, at);
      at += from - copied;
      this.put(slot, document, out, at, typeAt);
      at += sizes[slot - slots[0]]!;
      copied = edits.end[slot]!;
    }
    copy(document, copied, document.length, out, at);
    for (let f = frames[0]; f < frame; f++) {
      const more = grown[f - frames[0]]!;
      if (more !== 0) writeInt32(out, placed[f - frames[0]]!, int32(document, edits.frameStart[f]!) + more);
    }
  }

  /** First byte that a slot replaces. */
  private from(slot: number): number {
    const target = this.edits.target[slot]!;
    const whole = target === DROP || (target <= DERIVED && this.edits.element[slot]! >= 0);
    return whole ? this.edits.element[slot]! : this.edits.start[slot]!;
  }

  private sizeOf(slot: number, document: Buffer): number {
    const target = this.edits.target[slot]!;
    if (target > 0)
      return valueSize(this.encoded[target - 1]!, this.edits.item[slot]!, this.subtype(slot, document));
    const derived = target <= DERIVED ? this.derived.get(slot) : undefined;
    return derived ? 1 + derived.name.length + valueSize(derived.values, derived.item, 0) : 0;
  }

  private subtype(slot: number, document: Buffer): number {
    return document[this.edits.start[slot]! + 4] ?? 0;
  }

  private put(slot: number, document: Buffer, out: Buffer, at: number, typeAt: number): void {
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
      else putValue(values, item, this.subtype(slot, document), out, at);
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
  if (to - from > SHORT) out.set(bytes.subarray(from, to), at);
  else for (let i = from, o = at; i < to; i++, o++) out[o] = bytes[i]!;
}
