import { decodeRows } from '../copy/decode.js';
import { copyOut } from '../copy/out.js';
import { sanitize } from '../errors.js';
import type { Session } from '../session.js';

/**
 * Rows of the destination as texts, a column an array, about a megabyte at a time.
 *
 * @param select SELECT of so many columns.
 */
export async function* readTexts(
  session: Session,
  select: string,
  columns: number,
): AsyncGenerator<readonly (readonly (string | null)[])[]> {
  const reader = copyOut(session, `COPY (${select}) TO STDOUT`);
  let whole = false;
  try {
    for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
      yield decodeRows(chunk, columns, columns).fields;
      reader.release(chunk);
    }
    whole = true;
  } catch (error) {
    throw sanitize(error, 'reading the destination');
  } finally {
    if (!whole) await reader.drain();
  }
}
