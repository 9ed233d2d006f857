import type { Ff1 } from '../../crypto/ff1.js';
import type { ChunkContext, Column } from '../transformer.js';

/** Letters and digits that a text may hold: longer ones are no codes, and cost time that grows with their square. */
const MOST = 256;
/** Below so many texts of one form, trying them all is easy. */
const LEAST = 10n ** 6n;

/** Texts with as many letters and as many digits: they are permuted among each other. */
interface Form {
  readonly letters: number;
  readonly digits: number;
  readonly rows: number[];
}

/**
 * Permutes codes: digits stay digits, upper-case letters upper-case, lower-case ones lower-case, and everything else
 * stays in its place. Different texts stay different, since a permutation is applied to all texts of one form.
 *
 * @param allowSmall Also where there are fewer than a million texts of that form.
 */
export function permuteTexts(
  ff1: Ff1,
  allowSmall: boolean,
  values: Column,
  chunk: ChunkContext,
): (string | null)[] {
  const out: (string | null)[] = new Array(values.length).fill(null);
  const forms = new Map<number, Form>();
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value === null) continue;
    const form = value === '' ? undefined : formOf(value, forms);
    if (value === '') out[row] = '';
    else if (typeof form === 'string') chunk.fail(row, form);
    else form!.rows.push(row);
  }
  for (const { letters, digits, rows } of forms.values()) {
    const size = 26n ** BigInt(letters) * 10n ** BigInt(digits);
    if (size < LEAST && !allowSmall) {
      const reason = `few texts have ${letters} letters and ${digits} digits: they can be guessed, unless allowSmall: true`;
      for (const row of rows) chunk.fail(row, reason);
    } else if (letters === 0 && digits > 1) {
      permuteDigits(ff1, digits, rows, values, out);
    } else {
      const ranks = rows.map((row) => rank(values[row]!));
      permuteBelow(ff1, size, ranks);
      rows.forEach((row, i) => {
        out[row] = spell(values[row]!, ranks[i]!);
      });
    }
  }
  return out;
}

/** The form of a text, or why it has none. */
function formOf(value: string, forms: Map<number, Form>): Form | string {
  let letters = 0;
  let digits = 0;
  for (let at = 0; at < value.length; at++) {
    const base = radix(value.charCodeAt(at));
    if (base === 26) letters++;
    else if (base === 10) digits++;
  }
  if (letters + digits === 0) return 'it holds no letter A to Z and no digit to permute';
  if (letters + digits > MOST) return `it holds more than ${MOST} letters and digits`;
  if (letters + digits < value.length && FOREIGN.test(value))
    return 'it holds letters or digits that permute does not know (it knows A to Z and 0 to 9)';
  const id = letters * (MOST + 1) + digits;
  let form = forms.get(id);
  if (!form) {
    form = { letters, digits, rows: [] };
    forms.set(id, form);
  }
  return form;
}

const FOREIGN = /(?![\0-\x7f])[\p{L}\p{N}]/u;

/** How many characters may stand in the place of this one: 10, 26, or 1. */
function radix(code: number): number {
  if (code >= 0x30 && code <= 0x39) return 10;
  return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) ? 26 : 1;
}

/** The first character of a character's class. */
function origin(code: number): number {
  if (code <= 0x39) return 0x30;
  return code <= 0x5a ? 0x41 : 0x61;
}

function permuteDigits(
  ff1: Ff1,
  length: number,
  rows: number[],
  values: Column,
  out: (string | null)[],
): void {
  const digits = new Uint8Array(rows.length * length);
  let at = 0;
  for (const row of rows) {
    const value = values[row]!;
    for (let c = 0; c < value.length; c++) {
      const code = value.charCodeAt(c);
      if (radix(code) === 10) digits[at++] = code - 0x30;
    }
  }
  ff1.digits(10, length, digits);
  const text = Buffer.from(digits.map((digit) => digit + 0x30)).toString('latin1');
  rows.forEach((row, i) => {
    const value = values[row]!;
    const made = text.slice(i * length, (i + 1) * length);
    let next = 0;
    out[row] = value.length === length ? made : value.replace(/[0-9]/g, () => made[next++]!);
  });
}

/** The text's number among all of its form. */
function rank(value: string): bigint {
  let number = 0n;
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    const base = radix(code);
    if (base > 1) number = number * BigInt(base) + BigInt(code - origin(code));
  }
  return number;
}

function spell(value: string, number: bigint): string {
  const codes = Uint16Array.from({ length: value.length }, (_, at) => value.charCodeAt(at));
  let rest = number;
  for (let at = codes.length - 1; at >= 0; at--) {
    const code = codes[at]!;
    const base = radix(code);
    if (base === 1) continue;
    codes[at] = origin(code) + Number(rest % BigInt(base));
    rest /= BigInt(base);
  }
  return Buffer.from(codes.buffer).toString('utf16le');
}

/** Permutes numbers below `size`: FF1 over just enough bits, again and again until the result is below. */
function permuteBelow(ff1: Ff1, size: bigint, numbers: bigint[]): void {
  const bits = Math.max(7, (size - 1n).toString(2).length);
  let left = numbers.map((_, i) => i);
  while (left.length > 0) {
    const encrypted = permuteBits(
      ff1,
      bits,
      left.map((i) => numbers[i]!),
    );
    left.forEach((i, k) => {
      numbers[i] = encrypted[k]!;
    });
    left = left.filter((i) => numbers[i]! >= size);
  }
}

function permuteBits(ff1: Ff1, bits: number, numbers: readonly bigint[]): bigint[] {
  const low = BigInt(Math.ceil(bits / 2));
  const word = (shift: bigint, size: bigint): Uint32Array =>
    Uint32Array.from(numbers, (number) => Number(BigInt.asUintN(Number(size), number >> shift)));
  if (bits <= 64) {
    const upper = word(low, 32n);
    const lower = word(0n, low);
    ff1.bits(bits, upper, lower);
    return numbers.map((_, i) => (BigInt(upper[i]!) << low) | BigInt(lower[i]!));
  }
  const digits = Uint8Array.from(
    numbers.flatMap((number) => [...number.toString(2).padStart(bits, '0')].map(Number)),
  );
  ff1.digits(2, bits, digits);
  const text = digits.join('');
  return numbers.map((_, i) => BigInt(`0b${text.slice(i * bits, (i + 1) * bits)}`));
}
