import type { Column, ColumnType } from './transformer.js';

type Equality = ColumnType['equality'];

/**
 * Gives values that a type holds equal the same text, so that a keyed function treats them alike: foreign keys whose
 * ends differ in bytes stay valid. Columns that need nothing come back as they are.
 */
export function canonicalColumn(values: Column, equality: Equality): Column {
  if (equality === 'exact') return values;
  const one = canonicalizer(equality);
  return values.map((value) => (value === null ? null : one(value)));
}

/** The same for one value. */
export function canonicalizer(equality: Equality): (value: string) => string {
  switch (equality) {
    case 'exact':
      return (value) => value;
    case 'padded':
      return unpad;
    case 'number':
      return canonicalNumber;
    case 'caseless':
      return fold;
  }
}

/** Without trailing blanks. A loop, since a pattern takes quadratic time on a long run of blanks inside. */
function unpad(value: string): string {
  let end = value.length;
  while (end > 0 && value.charCodeAt(end - 1) === 0x20) end--;
  return end === value.length ? value : value.slice(0, end);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, whole.
const ASCII = /^[\x00-\x7f]*$/;

/**
 * Lower case, letter by letter: a word-final sigma must not depend on its neighbours, since the database folds letters
 * one by one. NFC, because nondeterministic collations hold composed and decomposed letters equal.
 */
export function fold(value: string): string {
  if (ASCII.test(value)) return value.toLowerCase();
  let folded = '';
  for (const letter of value.normalize('NFC')) folded += letter.toLowerCase();
  return folded.normalize('NFC');
}

const PLAIN = /^-?[1-9][0-9]*$/;
const NUMBER = /^\s*([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?\s*$/;
/** Exponents beyond this are no number of any database; writing them out would only cost memory. */
const MAX_EXPONENT = 20_000;

/** `1.0`, `+1`, `01` and `1e0` are `1`; `-0` is `0`. What is no number (`NaN`, `Infinity`) stays as it is. */
export function canonicalNumber(value: string): string {
  if (PLAIN.test(value)) return value;
  const parts = NUMBER.exec(value);
  const digits = parts && `${parts[2]}${parts[3] ?? ''}`;
  const exponent = Number(parts?.[4] ?? 0);
  if (!digits || Math.abs(exponent) > MAX_EXPONENT) return value;
  const point = parts[2]!.length + exponent;
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0').replace(/^0+/, '') : '';
  const fraction = (point < 0 ? digits.padStart(digits.length - point, '0') : digits.slice(point)).replace(
    /0+$/,
    '',
  );
  if (whole === '' && fraction === '') return '0';
  return `${parts[1] === '-' ? '-' : ''}${whole || '0'}${fraction && `.${fraction}`}`;
}
