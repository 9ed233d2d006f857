import type { Column } from '../../anonymize/transformer.js';
import { packText } from '../../crypto/cmac.js';
import { BSON } from './bson.js';
import { typeName } from './scan.js';
import { KEY_NAME, type Target } from './target.js';
import { FIXED_SIZES, writeFixed } from './values.js';

/** How the bytes of a value stand in a document. */
export type Form = 'fixed' | 'text' | 'name' | 'binary';

/** What a target's values became, as bytes without lengths and terminators. */
export interface Encoded {
  readonly form: Form;
  /** Type byte of the element. */
  readonly type: number;
  /** It is not the type of the values that went in. Default false. */
  readonly retyped?: boolean;
  readonly values: Column;
  readonly bytes: Uint8Array;
  /** Value i is `bytes[offsets[i] .. offsets[i + 1])`; null takes none. */
  readonly offsets: Uint32Array;
}

/**
 * Turns a target's outputs into bytes.
 *
 * @param fail Told of each output that is no value of the type.
 */
export function encode(
  target: Target,
  values: Column,
  fail: (document: number, reason: string) => void,
): Encoded {
  const { output } = target.rule;
  if (target.isText) {
    const name = output === KEY_NAME;
    if (name) refuseNames(values, (row, reason) => fail(target.documents[row]!, reason));
    const retyped = output !== target.rule.type;
    return { form: name ? 'name' : 'text', type: output, retyped, values, ...packText(values) };
  }
  const misfit = (row: number) =>
    fail(target.documents[row]!, `what the transformer makes is no ${typeName(output)}`);
  if (output === BSON.binData) return encodeBinary(values, misfit);
  return encodeFixed(output, values, misfit);
}

/** For a target without values. */
export function encodedNothing(type: number): Encoded {
  return { form: 'fixed', type, values: [], bytes: NO_BYTES, offsets: NO_OFFSETS };
}

const NO_BYTES = new Uint8Array();
const NO_OFFSETS = new Uint32Array(1);

function encodeFixed(type: number, values: Column, misfit: (row: number) => void): Encoded {
  const size = FIXED_SIZES.get(type)!;
  const bytes = Buffer.alloc(values.length * size);
  const offsets = new Uint32Array(values.length + 1);
  let at = 0;
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value !== null) {
      if (!writeFixed(type, value, bytes, at)) misfit(row);
      at += size;
    }
    offsets[row + 1] = at;
  }
  return { form: 'fixed', type, values, bytes, offsets };
}

function encodeBinary(values: Column, misfit: (row: number) => void): Encoded {
  const parts = values.map((value, row) => {
    if (value !== null && !/^\\x(?:[0-9a-f]{2})*$/i.test(value)) misfit(row);
    return Buffer.from(value?.slice(2) ?? '', 'hex');
  });
  const offsets = new Uint32Array(values.length + 1);
  for (const [row, part] of parts.entries()) offsets[row + 1] = offsets[row]! + part.length;
  return { form: 'binary', type: BSON.binData, values, bytes: Buffer.concat(parts), offsets };
}

function refuseNames(values: Column, fail: (row: number, reason: string) => void): void {
  for (const [row, value] of values.entries()) {
    if (value === null) fail(row, 'a key cannot become null');
    else if (value === '' || value.includes('\0'))
      fail(row, 'a key cannot be empty or hold a zero character');
  }
}
