import type { Column } from '../../anonymize/transformer.js';
import { BACKSLASH, LETTERS, LINE_FEED, type RowBlock, TAB, UPPER_N } from './format.js';

const TILDE = 0x7e;
const SPACE = 0x20;
const USUAL_BYTES = 5 << 19;
const GIANT_BYTES = 1 << 24;

/** A leading field of an output row: new values, or the bytes of a leading field of the source row as they were. */
export type OutputField =
  | { readonly kind: 'values'; readonly values: Column }
  | { readonly kind: 'raw'; readonly field: number };

/** Which rows of a block to write; all of them by default. */
export interface RowRange {
  readonly from?: number;
  readonly to?: number;
  /** Rows that are left out: not 0. */
  readonly skip?: Uint8Array;
}

/** Encoders that are free, of this thread. */
const idle: RowEncoder[] = [];
const IDLE_ENCODERS = 2;

/** Writes rows as COPY text into a buffer that grows to the largest chunk and is used again. */
export class RowEncoder {
  private out = Buffer.allocUnsafeSlow(USUAL_BYTES);
  private used = 0;
  /**
   * The block's bytes are copied behind what is written, once, and moved forward from there piece by piece: within one
   * buffer that takes no object for each piece. What is behind `unread` is still needed.
   */
  private shift = 0;
  private unread = 0;
  private blockEnd = 0;

  /** A free encoder of this thread, or a new one. */
  static borrow(): RowEncoder {
    return idle.pop() ?? new RowEncoder();
  }

  /** For others to use. Only when no socket holds its bytes any more. */
  giveBack(): void {
    if (idle.length < IDLE_ENCODERS && this.out.length <= USUAL_BYTES) idle.push(this);
  }

  /**
   * Rows of `block` with their leading fields replaced by `fields` and the rest as it was. The result is valid until
   * the next call.
   *
   * @param fields In the order in which the fields stand in the block.
   * @param rest whether anything follows the block's leading fields.
   */
  encode(block: RowBlock, fields: readonly OutputField[], rest: boolean, range: RowRange = {}): Buffer {
    const { from = 0, to = block.size, skip } = range;
    const stride = block.fields.length + 1;
    this.take(block, from, to);
    for (let row = from; row < to; row++) {
      if (skip !== undefined && skip[row] !== 0) continue;
      this.unread = this.shift + block.starts[row * stride]!;
      for (let f = 0; f < fields.length; f++) {
        const field = fields[f]!;
        if (field.kind === 'values') {
          this.value(field.values[row]!);
        } else {
          const start = block.starts[row * stride + field.field]!;
          this.slice(start, block.starts[row * stride + field.field + 1]! - 1);
        }
        this.out[this.used++] = TAB;
      }
      if (rest) this.slice(block.starts[row * stride + stride - 1]!, block.ends[row]!);
      else if (fields.length > 0) this.out[this.used - 1] = LINE_FEED;
      else this.out[this.used++] = LINE_FEED;
    }
    return this.out.subarray(0, this.used);
  }

  private take(block: RowBlock, from: number, to: number): void {
    const begin = from === 0 ? 0 : block.ends[from - 1]!;
    const end = to === 0 ? 0 : block.ends[to - 1]!;
    const length = Math.max(0, end - begin);
    const tooSmall = this.out.length < length * 2;
    // One giant row must not keep its memory until the end.
    const tooLarge = this.out.length > GIANT_BYTES && this.out.length > length * 20;
    if (tooSmall || tooLarge)
      this.out = Buffer.allocUnsafeSlow(Math.max(USUAL_BYTES, Math.ceil(length * 2.5)));
    const tail = this.out.length - length;
    if (length > 0) block.bytes.copy(this.out, tail, begin, end);
    this.shift = tail - begin;
    this.unread = tail;
    this.blockEnd = this.out.length;
    this.used = 0;
  }

  /** Appends a value, escaped. Plain ASCII, the common case, is written here byte by byte: a native call costs more. */
  private value(value: string | null): void {
    if (value === null) {
      this.reserve(2);
      this.out[this.used++] = BACKSLASH;
      this.out[this.used++] = UPPER_N;
      return;
    }
    const { length } = value;
    this.reserve(length);
    const { out } = this;
    let { used } = this;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code < SPACE || code === BACKSLASH || code > TILDE) {
        this.used = used;
        this.unusual(value.slice(i));
        return;
      }
      out[used++] = code;
    }
    this.used = used;
  }

  /** Writes UTF-8 a little ahead, then moves it into place, escaping on the way: at most every byte becomes two. */
  private unusual(value: string): void {
    const length = Buffer.byteLength(value);
    this.reserve(length * 2);
    const { out } = this;
    let { used } = this;
    let at = used + length;
    const end = at + out.write(value, at, 'utf8');
    for (; at < end; at++) {
      const byte = out[at]!;
      const letter = byte <= BACKSLASH ? ESCAPES[byte]! : 0;
      if (letter !== 0) {
        out[used++] = BACKSLASH;
        out[used++] = letter;
      } else out[used++] = byte;
    }
    this.used = used;
  }

  private slice(from: number, to: number): void {
    this.reserve(to - from);
    this.out.copyWithin(this.used, from + this.shift, to + this.shift);
    this.used += to - from;
  }

  /** Room for so many bytes and a separator, before what is unread. */
  private reserve(bytes: number): void {
    const needed = this.used + bytes + 2;
    if (needed <= this.unread) return;
    const left = this.blockEnd - this.unread;
    const larger = Buffer.allocUnsafeSlow(Math.ceil((needed + left) * 1.5));
    this.out.copy(larger, 0, 0, this.used);
    const unread = larger.length - left;
    this.out.copy(larger, unread, this.unread, this.blockEnd);
    this.shift += unread - this.unread;
    this.unread = unread;
    this.blockEnd = larger.length;
    this.out = larger;
  }
}

/** Whole rows as COPY text, all of the same width. */
export function encodeRows(rows: readonly (readonly (string | null)[])[]): Buffer {
  const block = {
    bytes: Buffer.alloc(0),
    size: rows.length,
    fields: [],
    starts: new Int32Array(rows.length),
    ends: rows.map(() => 0),
  };
  const fields = (rows[0] ?? []).map((_, f) => ({
    kind: 'values' as const,
    values: rows.map((row) => row[f]!),
  }));
  return new RowEncoder().encode(block, fields, false);
}

/** By byte: the letter after the backslash, or 0. */
const ESCAPES = new Uint8Array(BACKSLASH + 1);
for (const [letter, byte] of Object.entries(LETTERS)) ESCAPES[byte] = letter.charCodeAt(0);
ESCAPES[BACKSLASH] = BACKSLASH;
