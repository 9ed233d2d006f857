import { alphabetOf } from './characters.js';
import { type KeyStream, keyStreams } from './keystream.js';
import type { Column, Prf } from './transformer.js';

/**
 * Replaces letters by letters of the same script and case and digits by digits, and keeps everything else, so length
 * and form stay. A value with at least one letter or digit never stays what it was.
 */
export function scrambler(prf: Prf, label: string): (values: Column) => (string | null)[] {
  const open = keyStreams(prf, label);
  return (values) => {
    const stream = open(values);
    return values.map((value, row) => (value === null ? null : scrambleText(value, stream.row(row))));
  };
}

const scratch = new Uint16Array(4096);

function scrambleText(value: string, stream: KeyStream): string {
  const out = value.length <= scratch.length ? scratch : new Uint16Array(value.length);
  let length = 0;
  let first = -1;
  let changed = false;
  for (let at = 0; at < value.length; at++) {
    const codePoint = value.codePointAt(at)!;
    if (codePoint > 0xffff) at++;
    const alphabet = alphabetOf(codePoint);
    const next = alphabet ? alphabet[stream.below(alphabet.length)]! : codePoint;
    if (alphabet && first < 0) first = length;
    changed ||= next !== codePoint;
    length = write(out, length, next);
  }
  if (!changed && first >= 0) step(out, first);
  return decode(out, length);
}

/** Takes the next member of the alphabet for the character at an index. */
function step(out: Uint16Array, at: number): void {
  const codePoint = String.fromCharCode(out[at]!, out[at + 1] ?? 0).codePointAt(0)!;
  const alphabet = alphabetOf(codePoint)!;
  write(out, at, alphabet[(alphabet.indexOf(codePoint) + 1) % alphabet.length]!);
}

function write(out: Uint16Array, at: number, codePoint: number): number {
  if (codePoint <= 0xffff) {
    out[at] = codePoint;
    return at + 1;
  }
  out[at] = 0xd800 + ((codePoint - 0x10000) >> 10);
  out[at + 1] = 0xdc00 + (codePoint & 0x3ff);
  return at + 2;
}

function decode(units: Uint16Array, length: number): string {
  return Buffer.from(units.buffer, units.byteOffset, length * 2).toString('utf16le');
}
