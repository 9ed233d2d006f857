import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
let loaded: typeof import('mongodb') | undefined;

/**
 * The MongoDB driver, loaded when it is first needed: a process that works on PostgreSQL alone starts without its
 * hundred files.
 */
export function driver(): typeof import('mongodb') {
  loaded ??= require('mongodb') as typeof import('mongodb');
  return loaded;
}

/** Statements of one command, as bytes. */
export interface Sequence {
  push(shown: object, bytes: Uint8Array): number;
}

/** An empty document sequence of the driver's message format; undefined with a driver that has none. */
export function documentSequence(field: string): Sequence | undefined {
  try {
    // The driver's own class: exported by its file, not by its entry.
    const { DocumentSequence } = require('mongodb/lib/cmap/commands.js');
    return new DocumentSequence(field);
  } catch {
    return undefined;
  }
}

/** A cursor that was opened with `raw: true`. */
export interface RawCursor extends AsyncIterable<unknown> {
  /** What has arrived and was not iterated over. */
  readBufferedDocuments(): unknown[];
}

/** A reply to a cursor, as the driver holds it. */
interface Reply {
  /** Documents that have not been iterated over. */
  readonly length: number;
  readonly batchSize: number;
  /** An array in BSON. */
  readonly batch: { toBytes(): Uint8Array };
  /** Counts all of it as iterated over. */
  clear(): void;
}

/**
 * What has arrived at a cursor and was not iterated over, as views of the reply. The driver's own way parses each
 * document, also a raw one, and keeps what it found until the reply goes: most of what garbage there would be.
 */
export function arrived(cursor: RawCursor): Buffer[] {
  const { documents: reply } = cursor as { readonly documents?: Reply | null };
  if (typeof reply?.clear !== 'function' || typeof reply.batch?.toBytes !== 'function')
    return (cursor.readBufferedDocuments() as Uint8Array[]).map(bufferOf);
  const skipped = reply.batchSize - reply.length;
  const views = documentsIn(bufferOf(reply.batch.toBytes()), skipped);
  reply.clear();
  return views;
}

/** The documents of an array in BSON from the one at `first` on. */
function documentsIn(array: Buffer, first: number): Buffer[] {
  const views: Buffer[] = [];
  let index = 0;
  // Before each document: its type, and its index with a zero at the end.
  for (let at = 4; at < array.length - 1; index++) {
    const start = array.indexOf(0, at + 1) + 1;
    const end = start + array.readInt32LE(start);
    if (index >= first) views.push(array.subarray(start, end));
    at = end;
  }
  return views;
}

/** The same bytes. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
