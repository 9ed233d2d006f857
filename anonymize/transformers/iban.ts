import { z } from 'zod';
import { alphabetOf } from '../characters.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { keyStreams } from '../keystream.js';
import { defineTransformer } from '../transformer.js';

/** Country, check digits, and 11 to 30 characters of the account, in groups. */
const IBAN = /^[A-Z]{2}[ -]?\d[ -]?\d(?:[ -]?[A-Z0-9]){11,30}$/i;

/** Account numbers that pass the mod-97 check. */
export const iban = defineTransformer({
  name: 'iban',
  version: 1,
  summary: 'Replaces an IBAN by another one with valid check digits; country, length and separators stay.',
  example: { input: 'DE89 3704 0044 0532 0130 00' },
  options: z.strictObject({ onInvalid }),
  accepts: (type, options) =>
    type.kind === 'text' ? acceptsInvalid(type, options.onInvalid) : 'it takes text',
  proof: (_, options) => ({
    unique: 'no',
    mayEqualInput: false,
    keepsNull: options.onInvalid !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { type, prf } = context;
    const open = keyStreams(prf, 'iban');
    const finish = invalidRows(context);
    return (column, chunk) => {
      const values = unpadded(type, column);
      const stream = open(values);
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        if (value === null) return null;
        if (IBAN.test(value)) {
          stream.row(row);
          return renumber(value, (n) => stream.below(n));
        }
        unread.push({ row, reason: 'not an IBAN' });
        return null;
      });
      return finish(values, out, unread, chunk);
    };
  },
});

function renumber(value: string, below: (n: number) => number): string {
  const compact = value.replace(/[ -]/g, '');
  const old = compact.slice(4);
  const replace = (character: string, pick: (size: number, index: number) => number) => {
    const alphabet = alphabetOf(character.charCodeAt(0))!;
    return String.fromCharCode(alphabet[pick(alphabet.length, alphabet.indexOf(character.charCodeAt(0)))]!);
  };
  let account = Array.from(old, (character) => replace(character, below)).join('');
  // Upper and lower case are one number, so an unchanged account is moved on in its last character.
  if (account === old) account = old.slice(0, -1) + replace(old.at(-1)!, (size, index) => (index + 1) % size);
  const country = compact.slice(0, 2);
  const fresh = country + checkDigits(country, account) + account;
  let at = 0;
  return value.replace(/[^ -]/g, () => fresh[at++]!);
}

/** ISO 13616: 98 minus the remainder by 97 of account, country and 00, letters counted as 10 to 35. */
function checkDigits(country: string, account: string): string {
  return String(98 - remainder(`${account}${country}00`)).padStart(2, '0');
}

/** The remainder by 97 of an IBAN's characters, rearranged. */
export function remainder(characters: string): number {
  let rest = 0;
  for (const character of characters) {
    const digits = Number.parseInt(character, 36);
    rest = (rest * (digits > 9 ? 100 : 10) + digits) % 97;
  }
  return rest;
}
