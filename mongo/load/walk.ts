import type { Collection } from 'mongodb';
import { BSON } from '../documents/bson.js';
import { idOf, type RawId } from '../ids.js';
import { type Bracket, bracketOf } from '../ranges.js';
import { chunksOf } from './read.js';

/** Marks of a batch, at least and at most: the more, the more alike batches become. */
const LEAST_MARKS = 16;
const MOST_MARKS = 64;
/** `_id`s of one reply. */
const REPLY = 20_000;

/** What a pass over all `_id`s saw of a bracket. */
export interface Walked {
  /** Documents between two marks. */
  readonly stride: number;
  rows: number;
  /** Each `stride`-th `_id`, from the one after the first `stride` documents on. */
  readonly marks: RawId[];
}

/**
 * Goes through the `_id`s of a collection once, in the server's order: over an index it costs a small part of reading
 * the documents, and less than a look for every border.
 *
 * @param most Documents after which it gives up.
 * @returns Undefined when there are more. `unclear`: there are `_id`s of which only the server knows the bracket.
 */
export async function walkIds(
  collection: Collection,
  batchRows: number,
  most: number,
): Promise<{ brackets: ReadonlyMap<Bracket, Walked>; unclear: boolean } | undefined> {
  const stride = strideOf(batchRows);
  const brackets = new Map<Bracket, Walked>();
  let [unclear, all] = [false, 0];
  const cursor = collection.find(
    {},
    { projection: { _id: 1 }, raw: true, sort: { _id: 1 }, batchSize: REPLY },
  );
  try {
    for await (const documents of chunksOf(cursor)) {
      all += documents.length;
      if (all > most) return undefined;
      for (const document of documents) {
        const id = idOf(document)!;
        const bracket = bracketOf(id);
        if (bracket === undefined || isTypedBinary(id)) unclear = true;
        if (bracket !== undefined) mark(brackets, bracket, stride, id);
      }
    }
  } finally {
    await cursor.close().catch(() => undefined);
  }
  return { brackets, unclear };
}

/** So that full batches are as large as they may be, where their size has a divisor. */
function strideOf(batchRows: number): number {
  for (let marks = LEAST_MARKS; marks <= MOST_MARKS; marks++)
    if (batchRows % marks === 0) return batchRows / marks;
  return Math.ceil(batchRows / LEAST_MARKS);
}

/** Some servers do not compare a UUID with other bytes. */
function isTypedBinary(id: RawId): boolean {
  return id[0] === BSON.binData && id[5] !== 0;
}

function mark(brackets: Map<Bracket, Walked>, bracket: Bracket, stride: number, id: RawId): void {
  let seen = brackets.get(bracket);
  if (!seen) {
    seen = { stride, rows: 0, marks: [] };
    brackets.set(bracket, seen);
  }
  if (seen.rows > 0 && seen.rows % stride === 0) seen.marks.push(id);
  seen.rows += 1;
}

/** The `_id`s at which batches begin, but for the first: batches of one size, none larger than `batchRows`. */
export function batchBorders({ stride, rows, marks }: Walked, batchRows: number): RawId[] {
  const strides = marks.length + 1;
  const batches = Math.ceil(strides / Math.max(1, Math.floor(batchRows / stride)));
  if (rows <= batchRows) return [];
  return Array.from(
    { length: batches - 1 },
    (_, at) => marks[Math.floor(((at + 1) * strides) / batches) - 1]!,
  );
}
