import { arrived, type RawCursor } from '../driver.js';

/** Bytes and documents of one step: enough for the transformers to work on whole columns, little enough for memory. */
const CHUNK_BYTES = 4 * 1024 * 1024;
const CHUNK_DOCUMENTS = 5_000;

/** The documents of a cursor that was opened with `raw: true`, some megabytes at a time. */
export async function* chunksOf(cursor: RawCursor): AsyncGenerator<Uint8Array[]> {
  let chunk: Uint8Array[] = [];
  let bytes = 0;
  for await (const first of cursor) {
    // The others of a reply come at once: waiting for each would cost more than reading it.
    for (const document of [first as Uint8Array, ...arrived(cursor)]) {
      chunk.push(document);
      bytes += document.length;
      if (bytes < CHUNK_BYTES && chunk.length < CHUNK_DOCUMENTS) continue;
      yield chunk;
      chunk = [];
      bytes = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
}
