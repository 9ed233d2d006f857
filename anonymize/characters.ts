/** Code points that may stand for each other: same script, same case, or all digits. */
export type Alphabet = readonly number[];

const range = (from: number, to: number): Alphabet =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const letters = (text: string): Alphabet => Array.from(text, (letter) => letter.codePointAt(0)!);

const DIGITS = range(0x30, 0x39);
const LOWER = range(0x61, 0x7a);
const UPPER = range(0x41, 0x5a);

/** Lower-case letters of scripts with case; the upper-case alphabet is the same in upper case, index by index. */
const CASED: readonly [RegExp, Alphabet][] = [
  [/\p{Script=Latin}/u, letters('àáâãäåæçèéêëìíîïñòóôõöøùúûüýąćčďęěğłńňőřśşšťůűźżžœ')],
  [/\p{Script=Greek}/u, letters('αβγδεζηθικλμνξοπρστυφχψω')],
  [/\p{Script=Cyrillic}/u, letters('абвгдежзийклмнопрстуфхцчшщъыьэюя')],
];

const UNCASED: readonly [RegExp, Alphabet][] = [
  [/\p{Script=Han}/u, range(0x4e00, 0x9fa5)],
  [/\p{Script=Hangul}/u, range(0xac00, 0xd7a3)],
  [/\p{Script=Hiragana}/u, range(0x3042, 0x3093)],
  [/\p{Script=Katakana}/u, range(0x30a2, 0x30f3)],
  [/\p{Script=Hebrew}/u, range(0x05d0, 0x05ea)],
  [/\p{Script=Arabic}/u, [...range(0x0628, 0x063a), ...range(0x0641, 0x064a)]],
  [/\p{Script=Thai}/u, range(0x0e01, 0x0e2e)],
];

const CLASSES = [/\p{Lo}/u, /\p{Lm}/u, /\p{Lt}/u, /\p{Nl}/u, /\p{No}/u];
const known = new Map<number, Alphabet | null>();

/** What a letter or digit may be replaced by; undefined for everything else (spaces, punctuation, marks, symbols). */
export function alphabetOf(codePoint: number): Alphabet | undefined {
  if (codePoint < 0x80) {
    if (codePoint >= 0x61 && codePoint <= 0x7a) return LOWER;
    if (codePoint >= 0x41 && codePoint <= 0x5a) return UPPER;
    return codePoint >= 0x30 && codePoint <= 0x39 ? DIGITS : undefined;
  }
  let alphabet = known.get(codePoint);
  if (alphabet === undefined) {
    alphabet = find(codePoint);
    known.set(codePoint, alphabet);
  }
  return alphabet ?? undefined;
}

function find(codePoint: number): Alphabet | null {
  const text = String.fromCodePoint(codePoint);
  if (!/[\p{L}\p{N}]/u.test(text)) return null;
  if (/\p{Nd}/u.test(text)) return digitsAround(codePoint);
  if (/\p{Ll}/u.test(text)) return lowerCase(codePoint);
  if (/\p{Lu}/u.test(text)) {
    return upperCase(lowerCase(text.toLowerCase().codePointAt(0)!));
  }
  const script = UNCASED.find(([pattern]) => pattern.test(text));
  return script && /\p{Lo}/u.test(text) ? script[1] : neighbours(codePoint, text);
}

/** Decimal digits stand in runs of ten from zero to nine, some runs side by side. */
function digitsAround(codePoint: number): Alphabet {
  let start = codePoint;
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
  const zero = codePoint - ((codePoint - start) % 10);
  return range(zero, zero + 9);
}

function lowerCase(codePoint: number): Alphabet {
  const script = CASED.find(([pattern]) => pattern.test(String.fromCodePoint(codePoint)));
  return script?.[1] ?? ofBlock(codePoint, 'lower case', hasCase, LOWER);
}

function hasCase(text: string): boolean {
  const upper = text.toUpperCase();
  return /\p{Ll}/u.test(text) && /^\p{Lu}$/u.test(upper) && upper.toLowerCase() === text;
}

function upperCase(lower: Alphabet): Alphabet {
  let upper = upperCases.get(lower);
  if (!upper) {
    upper = lower.map((codePoint) => String.fromCodePoint(codePoint).toUpperCase().codePointAt(0)!);
    upperCases.set(lower, upper);
  }
  return upper;
}

const upperCases = new Map<Alphabet, Alphabet>();

function neighbours(codePoint: number, text: string): Alphabet {
  const same = CLASSES.find((pattern) => pattern.test(text))!;
  return ofBlock(codePoint, same.source, (other) => same.test(other), /\p{N}/u.test(text) ? DIGITS : LOWER);
}

const blocks = new Map<string, Alphabet>();

/** The members of a class among the 128 code points around one; `lone` where there is no second. */
function ofBlock(
  codePoint: number,
  name: string,
  belongs: (text: string) => boolean,
  lone: Alphabet,
): Alphabet {
  const from = codePoint & ~0x7f;
  const id = `${from} ${name}`;
  let found = blocks.get(id);
  if (!found) {
    found = range(from, from + 0x7f).filter((candidate) => belongs(String.fromCodePoint(candidate)));
    blocks.set(id, found);
  }
  return found.length > 1 ? found : lone;
}

/** Characters as PostgreSQL counts them (code points). */
export function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      count--;
      i++;
    }
  }
  return count;
}

/** Units that are worked on at a time: engines keep a record of each match, which millions of them would not fit. */
const PIECE = 16_384;

/** Maps a text piece by piece, never cutting a character; for functions that look at single characters only. */
export function mapPieces(text: string, map: (piece: string) => string): string {
  if (text.length <= PIECE) return map(text);
  const pieces: string[] = [];
  for (let from = 0, to = 0; from < text.length; from = to) {
    to = Math.min(from + PIECE, text.length);
    const unit = text.charCodeAt(to - 1);
    if (unit >= 0xd800 && unit < 0xdc00 && to < text.length) to++;
    pieces.push(map(text.slice(from, to)));
  }
  return pieces.join('');
}
