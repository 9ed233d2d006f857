import { parseDecimal } from '../../anonymize/decimal.js';

/** Digits of a Decimal128, and its smallest and largest exponent (IEEE 754-2008, decimal128). */
const DIGITS = 34;
const BIAS = 6176n;
const MOST = 6111n;
const TOO_MANY = 10n ** BigInt(DIGITS);
const COEFFICIENT = (1n << 113n) - 1n;

/**
 * The number that 16 bytes hold (binary integer decimal, little endian) as text: `-12.50`, `1E+40`. Undefined for NaN,
 * the infinities, -0 and encodings that no program writes.
 */
export function decimalText(bytes: Uint8Array, at: number): string | undefined {
  const high = word(bytes, at + 8);
  const negative = high >> 63n === 1n;
  // 11 in front of the exponent: NaN, an infinity, or a coefficient beyond 34 digits.
  if (((high >> 61n) & 3n) === 3n) return undefined;
  const coefficient = ((high << 64n) | word(bytes, at)) & COEFFICIENT;
  if (coefficient >= TOO_MANY || (negative && coefficient === 0n)) return undefined;
  return spell(negative, coefficient.toString(), Number(((high >> 49n) & 0x3fffn) - BIAS));
}

function spell(negative: boolean, digits: string, exponent: number): string {
  const sign = negative ? '-' : '';
  if (exponent === 0) return sign + digits;
  if (exponent > 0 || exponent < -2 * DIGITS) {
    return `${sign}${digits}E${exponent > 0 ? '+' : ''}${exponent}`;
  }
  const padded = digits.padStart(1 - exponent, '0');
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
}

/** Writes a finite number; false when it has more digits than fit. Digits after the point stay as many as they are. */
export function writeDecimal(text: string, bytes: Uint8Array, at: number): boolean {
  const read = parseDecimal(text);
  if (!read) return false;
  const negative = read.digits < 0n;
  let coefficient = negative ? -read.digits : read.digits;
  let exponent = BigInt(-read.scale);
  while (coefficient % 10n === 0n && coefficient > 0n && (coefficient >= TOO_MANY || exponent < -BIAS)) {
    coefficient /= 10n;
    exponent++;
  }
  if (coefficient === 0n && exponent < -BIAS) exponent = -BIAS;
  if (coefficient >= TOO_MANY || exponent < -BIAS || exponent > MOST) return false;
  const high = (negative ? 1n << 63n : 0n) | ((exponent + BIAS) << 49n) | (coefficient >> 64n);
  writeWord(bytes, at, BigInt.asUintN(64, coefficient));
  writeWord(bytes, at + 8, high);
  return true;
}

function word(bytes: Uint8Array, at: number): bigint {
  let value = 0n;
  for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
}

function writeWord(bytes: Uint8Array, at: number, value: bigint): void {
  let rest = value;
  for (let i = 0; i < 8; i++, rest >>= 8n) bytes[at + i] = Number(rest & 0xffn);
}
