import type { JobKeys } from '../../anonymize/keys.js';
import type { RowBlock } from '../copy/format.js';
import type { RowShape } from './shape.js';

/**
 * The keyed digests (16 bytes each) of the rows as the source gave them: the COPY text of the columns that are written,
 * in the order of `RowShape.into`, without what ends the row. With the job key, one record can be checked years later.
 */
export function evidenceOf(keys: JobKeys, shape: RowShape, block: RowBlock): Buffer {
  const stride = shape.leading + 1;
  const offsets = new Uint32Array(block.size + 1);
  const bytes = Buffer.allocUnsafe(block.bytes.length);
  let at = 0;
  for (let row = 0; row < block.size; row++) {
    at += block.bytes.copy(bytes, at, block.starts[row * stride + shape.firstWritten]!, block.ends[row]! - 1);
    offsets[row + 1] = at;
  }
  const tags = keys.evidence.tags({ bytes, offsets });
  return Buffer.from(tags.buffer, tags.byteOffset, tags.byteLength);
}
