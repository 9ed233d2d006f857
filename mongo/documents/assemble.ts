import { LetheError } from '../../errors/errors.js';
import { BSON, int32, OLD_BINARY, UUID } from './bson.js';
import type { Edits } from './edits.js';
import type { Encoded } from './encode.js';
import { DERIVED, DROP, EMPTY } from './match.js';

/** A derived field in one document: the bytes of its name with their zero, and its value, of target `target`. */
export interface Derived {
  readonly name: Uint8Array;
  readonly target: number;
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

/** Up to so many bytes, a loop is faster than a call that moves them, and than a view of them with a call that copies it. */
const SHORT_MOVE = 16;
const SHORT_COPY = 96;

/** Bytes of a block. */
const BLOCK = 256 * 1024;

/** Memory that results share: asking for some for each costs more than copying it. */
class Blocks {
  block: Buffer = Buffer.alloc(0);
  view = viewOf(this.block);
  private used = 0;

  /** Where the next `size` bytes of the block stand, with room for `room` bytes from there on until the next call. */
  take(size: number, room: number): number {
    if (this.used + room > this.block.length) {
      this.block = Buffer.allocUnsafeSlow(Math.max(room, BLOCK));
      this.view = viewOf(this.block);
      this.used = 0;
    }
    this.used += size;
    return this.used - size;
  }
}

/** Puts documents together from their old bytes and what changed. */
export class Assembler {
  /** By slot: how many bytes come, and where those begin that go. */
  private readonly sizes: Int32Array;
  private readonly froms: Int32Array;
  /** By frame: by how much it grows, and where its length stands in the output. */
  private readonly grown: Int32Array;
  private readonly placed: Int32Array;
  /** Of the document that was measured last: its new size, and how far any of its bytes is moved towards the end. */
  private size = 0;
  private most = 0;
  private readonly blocks = new Blocks();
  /** Of what is encoded. */
  private readonly views: readonly DataView[];

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
    this.views = encoded.map(({ bytes }) => viewOf(bytes));
  }

  /** Bytes of a document after its edits. Must be called right before `write`. */
  measure(document: Uint8Array, { firstSlot, lastSlot, firstFrame, lastFrame }: Part): number {
    const { sizes, froms, grown } = this;
    const { frame, frameParent, end } = this.edits;
    let more = 0;
    let most = 0;
    for (let slot = firstSlot; slot < lastSlot; slot++) {
      const size = this.sizeOf(slot, document);
      const from = this.from(slot);
      sizes[slot] = size;
      froms[slot] = from;
      const change = size - (end[slot]! - from);
      grown[frame[slot]!]! += change;
      more += change;
      if (more > most) most = more;
    }
    for (let f = lastFrame - 1; f > firstFrame; f--) grown[frameParent[f]!]! += grown[f]!;
    const length = document.length + more;
    // Not a number, it would be written over other documents of the block.
    if (!(length >= LEAST)) throw new LetheError('Internal', 'The edits of a document do not fit it.');
    this.most = most;
    this.size = length;
    return length;
  }

  /** The document that was measured last, in memory that it shares with others. */
  write(document: Uint8Array, part: Part): Buffer {
    const { size, most } = this;
    const start = this.blocks.take(size, document.length + most);
    this.edit(document, part, start, start + most);
    return this.blocks.block.subarray(start, start + size);
  }

  /**
   * Makes the new document at `start`.
   *
   * @param from Where a copy of the old one is put: so far behind that nothing is written over bytes that are still needed.
   */
  private edit(document: Uint8Array, part: Part, start: number, from: number): void {
    const { sizes, froms, placed } = this;
    const { block, view } = this.blocks;
    const { element, end, frameStart, frameSlots } = this.edits;
    const { firstSlot, lastSlot, firstFrame, lastFrame } = part;
    block.set(document, from);
    let at = start;
    let copied = 0;
    let frame = firstFrame;
    let typeAt = start;
    for (let slot = firstSlot; slot < lastSlot; slot++) {
      for (; frame < lastFrame && frameSlots[frame]! <= slot; frame++) {
        placed[frame] = frameStart[frame]! + at - copied;
      }
      const next = froms[slot]!;
      // Of an element whose name was a slot as well, the type was copied before.
      if (element[slot]! >= copied) typeAt = at + element[slot]! - copied;
      move(block, from + copied, from + next, at);
      at += next - copied;
      this.put(slot, document, at, typeAt);
      at += sizes[slot]!;
      copied = end[slot]!;
    }
    move(block, from + copied, from + document.length, at);
    for (let f = firstFrame; f < frame; f++) {
      const more = this.grown[f]!;
      if (more !== 0) view.setInt32(placed[f]!, int32(document, frameStart[f]!) + more, true);
    }
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
    if (!derived) return 0;
    const { name, target: of, item } = derived;
    return 1 + name.length + valueSize(this.encoded[of - 1]!, item, 0);
  }

  private subtype(slot: number, document: Uint8Array): number {
    return document[this.edits.start[slot]! + 4] ?? 0;
  }

  private put(slot: number, document: Uint8Array, at: number, typeAt: number): void {
    const { block } = this.blocks;
    const target = this.edits.target[slot]!;
    const derived = target <= DERIVED ? this.derived.get(slot) : undefined;
    if (derived) {
      const { name, item } = derived;
      const { type, values } = this.encoded[derived.target - 1]!;
      block[at] = values[item] === null ? BSON.null : type === UUID ? BSON.binData : type;
      block.set(name, at + 1);
      this.putValue(derived.target, item, 0, at + 1 + name.length);
    } else if (target > 0) {
      const values = this.encoded[target - 1]!;
      const item = this.edits.item[slot]!;
      if (values.values[item] === null) block[typeAt] = BSON.null;
      else {
        if (values.retyped) block[typeAt] = values.type;
        this.putValue(target, item, this.subtype(slot, document), at);
      }
    } else if (target === EMPTY) block[typeAt] = BSON.null;
  }

  private putValue(target: number, item: number, subtype: number, at: number): void {
    const { form, values, bytes, offsets } = this.encoded[target - 1]!;
    if (values[item] === null) return;
    const { block, view } = this.blocks;
    const from = offsets[item]!;
    const size = offsets[item + 1]! - from;
    let start = at;
    if (form === 'text') {
      view.setInt32(at, size + 1, true);
      block[at + 4 + size] = 0;
      start += 4;
    } else if (form === 'binary') {
      const old = subtype === OLD_BINARY;
      view.setInt32(at, size + (old ? 4 : 0), true);
      block[at + 4] = subtype;
      if (old) view.setInt32(at + 5, size, true);
      start += old ? 9 : 5;
    }
    if (size > SHORT_COPY) block.set(bytes.subarray(from, from + size), start);
    else copyWords(this.views[target - 1]!, from, size, view, start);
  }
}

function valueSize({ form, values, offsets }: Encoded, item: number, subtype: number): number {
  if (values[item] === null) return 0;
  const size = offsets[item + 1]! - offsets[item]!;
  if (form === 'text') return size + 5;
  return form === 'binary' ? size + (subtype === OLD_BINARY ? 9 : 5) : size;
}

/** Moves bytes towards the front. */
function move(bytes: Buffer, from: number, to: number, at: number): void {
  if (from === at) return;
  if (to - from > SHORT_MOVE) bytes.copyWithin(at, from, to);
  else for (let i = from, o = at; i < to; i++, o++) bytes[o] = bytes[i]!;
}

function copyWords(bytes: DataView, from: number, size: number, out: DataView, at: number): void {
  let i = 0;
  for (; i + 4 <= size; i += 4) out.setInt32(at + i, bytes.getInt32(from + i, true), true);
  for (; i < size; i++) out.setUint8(at + i, bytes.getUint8(from + i));
}

/** Words in it need no alignment. */
function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}
