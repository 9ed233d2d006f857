import { LetheError } from '../../errors/errors.js';
import type { FilterFormat } from './settings.js';

/** Bytes after which a chunk ends at the next line. */
const CHUNK_BYTES = 262_144;
/** Longest line, or CSV record. */
const MAX_LINE_BYTES = 67_108_864;

const NEWLINE = 10;
const QUOTE = 34;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

export interface ChunkOptions {
  readonly format: FilterFormat;
  /** Default 256 KB. */
  readonly size?: number;
  /** Default 64 MB. */
  readonly longest?: number;
}

/** Whole lines (CSV: records), as they came. */
export interface Chunk {
  readonly bytes: Uint8Array;
  /** The byte order mark that the input begins with was cut off. */
  readonly bom: boolean;
}

/**
 * Cuts a stream into chunks of whole lines, or of whole CSV records: a line break between quotes ends none. Holds one
 * chunk at a time.
 *
 * @throws LetheError `SealRefused` where a line is longer than 64 MB.
 */
export async function* chunks(
  input: AsyncIterable<Uint8Array>,
  { format, size = CHUNK_BYTES, longest = MAX_LINE_BYTES }: ChunkOptions,
): AsyncGenerator<Chunk> {
  let held: Buffer = Buffer.alloc(0);
  let seen = 0;
  let quoted = false;
  let end = 0;
  let first = true;

  /** Looks for ends of lines in what came last. */
  const look = () => {
    if (format !== 'csv') {
      const last = held.lastIndexOf(NEWLINE);
      if (last >= end) end = last + 1;
      seen = held.length;
      return;
    }
    for (; seen < held.length; seen++) {
      if (held[seen] === QUOTE) quoted = !quoted;
      else if (held[seen] === NEWLINE && !quoted) end = seen + 1;
    }
  };
  const take = (bytes: Buffer): Chunk => {
    const bom = first && bytes.subarray(0, 3).equals(BOM);
    first = false;
    return { bytes: new Uint8Array(bom ? bytes.subarray(3) : bytes), bom };
  };

  for await (const piece of gathered(input, size)) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece]);
    look();
    if (end >= size) {
      yield take(held.subarray(0, end));
      held = Buffer.from(held.subarray(end));
      seen -= end;
      end = 0;
    } else if (held.length - end > longest) throw tooLong(format, longest);
  }
  if (held.length > 0) yield take(held);
}

/** Joins small pieces, so that a long line is not copied once for each. */
async function* gathered(input: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of input) {
    pieces.push(piece);
    length += piece.length;
    if (length < size) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(pieces);
}

function tooLong(format: FilterFormat, longest: number): LetheError {
  const megabytes = Math.round(longest / 1_048_576);
  return new LetheError(
    'SealRefused',
    format === 'csv'
      ? `A CSV record does not end within ${megabytes} MB: a quote is left open, or the delimiter is another one.`
      : `A line is longer than ${megabytes} MB: is the input really one record a line?`,
  );
}
