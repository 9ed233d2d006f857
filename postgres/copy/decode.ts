import { LetheError } from '../../errors/errors.js';
import { BACKSLASH, LETTERS, LINE_FEED, type RowBlock, TAB, UPPER_N } from './format.js';
import type { CopyChunk } from './out.js';

const LOWER_X = 0x78;
const DIGIT_0 = 0x30;
const DIGIT_7 = 0x37;
const PACKED_BYTES = 1 << 16;

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
function notCopyText(): LetheError {
  return new LetheError('Internal', 'A row of COPY data does not have the fields that were asked for.');
}
