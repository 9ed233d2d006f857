import { z } from 'zod';
import { alphabetOf } from '../characters.js';
import { type CountryCode, getCountries, getCountryCallingCode } from '../countries.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { type KeyStream, keyStreams } from '../keystream.js';
import { defineTransformer } from '../transformer.js';

let callingCodes: ReadonlySet<string> | undefined;

/** Words around numbers that identify nobody; every other letter is replaced. */
const WORDS =
  /^(?:tel|telefon|phone|ph|mobile|mobil|cell|handy|fax|home|work|office|ext|extn|extension|x|dw|int|p|m|t|f|h|w)$/i;

/** Phone numbers in the form that they had. */
export const phone = defineTransformer({
  name: 'phone',
  version: 1,
  summary:
    'Replaces the digits of a phone number; country code, leading zeros, length, punctuation and words such as ext. stay.',
  example: { input: '+49 (0) 151 2345-6789 ext. 12' },
  options: z.strictObject({
    country: z
      .string()
      .refine(
        (code) => (getCountries() as string[]).includes(code),
        'give a country as ISO 3166 has it: DE, US, …',
      )
      .optional()
      .describe(
        'Country of numbers without + or 00 whose digits may start with its calling code: `US` keeps the 1 of 1-800-….',
      ),
    onInvalid,
  }),
  shorthand: 'country',
  accepts: (type, options) =>
    type.kind === 'text' ? acceptsInvalid(type, options.onInvalid) : 'it takes text; use permute for numbers',
  proof: (_, options) => ({
    unique: 'no',
    mayEqualInput: false,
    keepsNull: options.onInvalid !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { options, type, prf } = context;
    const open = keyStreams(prf, 'phone');
    const finish = invalidRows(context);
    const home = options.country && getCountryCallingCode(options.country as CountryCode);
    return (column, chunk) => {
      const values = unpadded(type, column);
      const stream = open(values);
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        const number = value === null ? null : renumber(value, home, stream.row(row));
        if (value !== null && number === null) unread.push({ row, reason: 'not a phone number' });
        return number;
      });
      return finish(values, out, unread, chunk);
    };
  },
});

const DIGIT = /\p{Nd}/gu;

/** No number, with all that is written around it, is longer. */
const LONGEST = 100;

function renumber(value: string, home: string | undefined, stream: KeyStream): string | null {
  if (value.length > LONGEST) return null;
  const digits = (value.match(DIGIT) ?? []).map((digit) =>
    alphabetOf(digit.codePointAt(0)!)!.indexOf(digit.codePointAt(0)!),
  );
  const kept = prefix(digits.join(''), /^[^\p{Nd}]*\+/u.test(value), home);
  if (digits.length < 3 || digits.length <= kept) return null;
  // Numbering plans give 0 and 1 a meaning of their own at the start of a number, so neither is drawn there.
  const fresh = digits.map((digit, i) =>
    i < kept ? digit : i === kept ? 2 + stream.below(8) : stream.below(10),
  );
  if (fresh.every((digit, i) => digit === digits[i])) fresh[fresh.length - 1] = (fresh.at(-1)! + 1) % 10;
  let at = 0;
  return value.replace(/\p{Nd}|\p{L}+/gu, (part) => {
    if (!/\p{Nd}/u.test(part)) return WORDS.test(part) ? part : letters(part, stream);
    return String.fromCodePoint(alphabetOf(part.codePointAt(0)!)![fresh[at++]!]!);
  });
}

/** How many leading digits stay: an international prefix, the calling code, then zeros. */
function prefix(digits: string, plus: boolean, home: string | undefined): number {
  const access = plus ? '' : (/^(?:00|011)(?=[1-9])/.exec(digits)?.[0] ?? '');
  const rest = digits.slice(access.length);
  const code = plus || access !== '' ? [1, 2, 3].map((n) => rest.slice(0, n)).find(isCallingCode) : undefined;
  const national =
    home && access === '' && !plus && rest.startsWith(home) && rest.length > 10 ? home : undefined;
  const at = access.length + (code ?? national ?? '').length;
  return at + /^0*/.exec(digits.slice(at))![0].length;
}

function isCallingCode(digits: string): boolean {
  callingCodes ??= new Set(getCountries().map((country) => getCountryCallingCode(country)));
  return callingCodes.has(digits);
}

function letters(word: string, stream: KeyStream): string {
  return Array.from(word, (letter) => {
    const alphabet = alphabetOf(letter.codePointAt(0)!)!;
    return String.fromCodePoint(alphabet[stream.below(alphabet.length)]!);
  }).join('');
}
