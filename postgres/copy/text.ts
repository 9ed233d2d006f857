import type { Column } from '../../anonymize/transformer.js';
import { LetheError } from '../../errors/errors.js';
import type { CopyChunk } from './out.js';

/*
 * The text format of COPY, a chunk at a time. Fields that somebody wants stand first in each row, so only they are
 * looked at; what follows them is one untouched slice of bytes to the row's end.
 */

const TAB = 0x09;
const LINE_FEED = 0x0a;
const BACKSLASH = 0x5c;
const UPPER_N = 0x4e;
const LOWER_X = 0x78;
const DIGIT_0 = 0x30;
const DIGIT_7 = 0x37;
const TILDE = 0x7e;
const SPACE = 0x20;
const PACKED_BYTES = 1 << 16;
const USUAL_BYTES = 5 << 19;
const GIANT_BYTES = 1 << 24;

/** Rows of one chunk with the leading fields taken out. Offsets are into `bytes`. */
export interface RowBlock {
  readonly bytes: Buffer;
  readonly size: number;
  /** Values of the leading fields: COPY escapes and UTF-8 undone, NULL is null. */
  readonly fields: readonly (string | null)[][];
  /** For each row, the start of each leading field and the start of what follows (1 + number of fields a row). */
  readonly starts: Int32Array;
  readonly ends: readonly number[];
}

/**
 * Takes the first `count` fields out of each row.
 *
 * @param total fields in a row; a row ends after its last field, without a tab.
 */
export function decodeRows(chunk: CopyChunk, count: number, total: number): RowBlock {
  const { bytes, ends } = chunk;
  const size = ends.length;
  if (bytes[bytes.length - 1] !== LINE_FEED) throw notCopyText();
  const fields: (string | null)[][] = Array.from({ length: count }, () => new Array<string | null>(size));
  const starts = new Int32Array(size * (count + 1));
  const plain = new PlainText(bytes);
  let at = 0;
  let s = 0;
  for (let row = 0; row < size; row++) {
    const end = ends[row]! - 1;
    const from = at;
    for (let field = 0; field < count; field++) {
      starts[s++] = at;
      let seen = 0;
      let escaped = false;
      for (; at < end; at++) {
        const byte = bytes[at]!;
        if (byte === TAB) break;
        if (byte === BACKSLASH) escaped = true;
        seen |= byte;
      }
      if ((at === end) !== (field === total - 1)) throw notCopyText();
      if (escaped || seen >= 0x80) fields[field]![row] = decodeValue(bytes, starts[s - 1]!, at, escaped);
      at++;
    }
    starts[s++] = at;
    plain.add(fields, row, starts, from, at);
    at = end + 1;
  }
  plain.flush(fields, starts, size);
  return { bytes, size, fields, starts, ends };
}

/** One for all: nothing is kept in it between calls. */
const packed = Buffer.allocUnsafeSlow(PACKED_BYTES);

/**
 * Makes strings of ASCII fields, many at a time: the leading parts of rows are put together, read as one string, and
 * cut. The string is small enough to die young: a megabyte at a time would have the collector sweep everything.
 */
class PlainText {
  private used = 0;
  private firstRow = 0;

  constructor(private readonly bytes: Buffer) {}

  /** The leading part of a row, `from` … `to`; fields that were decoded already stay as they are. */
  add(fields: readonly (string | null)[][], row: number, starts: Int32Array, from: number, to: number): void {
    if (fields.length === 0) return;
    if (this.used + to - from > PACKED_BYTES) this.flush(fields, starts, row);
    if (to - from > PACKED_BYTES) {
      this.cut(fields, starts, row, row + 1, this.bytes.toString('latin1', from, to));
      this.firstRow = row + 1;
      return;
    }
    const { bytes } = this;
    let { used } = this;
    for (let at = from; at < to; at++) packed[used++] = bytes[at]!;
    this.used = used;
  }

  flush(fields: readonly (string | null)[][], starts: Int32Array, toRow: number): void {
    if (fields.length > 0)
      this.cut(fields, starts, this.firstRow, toRow, packed.toString('latin1', 0, this.used));
    this.used = 0;
    this.firstRow = toRow;
  }

  private cut(
    fields: readonly (string | null)[][],
    starts: Int32Array,
    fromRow: number,
    toRow: number,
    text: string,
  ): void {
    const count = fields.length;
    const stride = count + 1;
    let offset = 0;
    for (let row = fromRow; row < toRow; row++) {
      const begin = row * stride;
      const shift = offset - starts[begin]!;
      for (let field = 0; field < count; field++) {
        const column = fields[field]!;
        if (column[row] === undefined) {
          column[row] = text.slice(starts[begin + field]! + shift, starts[begin + field + 1]! + shift - 1);
        }
      }
      offset = starts[begin + count]! + shift;
    }
  }
}

function decodeValue(bytes: Buffer, from: number, to: number, escaped: boolean): string | null {
  if (!escaped) return bytes.toString('utf8', from, to);
  if (to - from === 2 && bytes[from + 1] === UPPER_N) return null;
  return unescaped(bytes.subarray(from, to));
}

const LETTERS: Readonly<Record<string, number>> = { b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };
/** By the byte after a backslash: what it stands for. */
const UNESCAPES = Uint8Array.from({ length: 256 }, (_, byte) => LETTERS[String.fromCharCode(byte)] ?? byte);

/** Undoes the escapes that COPY writes, and the octal and hexadecimal ones that it only reads. */
function unescaped(field: Buffer): string {
  const out = Buffer.allocUnsafe(field.length);
  let length = 0;
  for (let at = 0; at < field.length; at++) {
    const byte = field[at]!;
    if (byte !== BACKSLASH || at + 1 === field.length) {
      out[length++] = byte;
      continue;
    }
    const numeric = numericEscape(field, at + 1);
    if (numeric) {
      out[length++] =
        numeric[0] === 'x' ? Number.parseInt(numeric.slice(1), 16) : Number.parseInt(numeric, 8);
      at += numeric.length;
    } else {
      const next = field[++at]!;
      out[length++] = UNESCAPES[next]!;
    }
  }
  return out.toString('utf8', 0, length);
}

/** Octal or hexadecimal digits with their `x`; undefined when it is another escape. */
function numericEscape(field: Buffer, at: number): string | undefined {
  const first = field[at]!;
  if (first !== LOWER_X && (first < DIGIT_0 || first > DIGIT_7)) return undefined;
  return /^(?:[0-7]{1,3}|x[0-9a-fA-F]{1,2})/.exec(field.toString('latin1', at, at + 3))?.[0];
}

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

function notCopyText(): LetheError {
  return new LetheError('Internal', 'A row of COPY data does not have the fields that were asked for.');
}
