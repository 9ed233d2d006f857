/** What a value may look like. */
export const PERSONAL_KINDS = ['email', 'phone', 'card', 'iban', 'ip'] as const;
export type PersonalKind = (typeof PERSONAL_KINDS)[number];

const EMAIL = /[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}/i;
/** With a plus, or an area code in brackets, or in three groups: digits alone may be anything. */
const PHONE =
  /(?<![\w.])(?:\+\d{1,3}[ ./()-]{0,2}\d[\d ./()-]{5,16}\d|\(\d{2,5}\)[ ./-]?\d{2,4}[ ./-]?\d{2,5}(?:[ ./-]\d{2,4})?|\d{3}[-. ]\d{3}[-. ]\d{4})(?!\w)/;
const CARD = /(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d.-])/g;
const IBAN = /(?<![A-Z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Z0-9])/g;
const IPV4 = /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])/;
const IPV6 =
  /(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])|(?<![\w:])(?:[0-9a-f]{1,4}:){2,6}:[0-9a-f:]{0,30}/i;

/** Shortest text of which any kind could be: an IPv4 address. */
const SHORTEST = 7;

/** The kinds of personal data that a value looks like it holds: patterns, and check digits where there are some. */
export function personalKinds(value: string): PersonalKind[] {
  if (value.length < SHORTEST) return [];
  const found: PersonalKind[] = [];
  if (value.includes('@') && EMAIL.test(value)) found.push('email');
  const digits = countDigits(value);
  const isCard = digits >= 13 && matches(value, CARD).some(passesLuhn);
  const isIban = digits >= 4 && matches(value, IBAN).some(passesMod97);
  if (isCard) found.push('card');
  if (isIban) found.push('iban');
  if (digits >= 7 && !isCard && !isIban && PHONE.test(value) && !isDate(value)) found.push('phone');
  if ((digits >= 4 && IPV4.test(value)) || (value.includes(':') && IPV6.test(value))) found.push('ip');
  return found;
}

function matches(value: string, pattern: RegExp): string[] {
  return value.match(pattern) ?? [];
}

/** A date in front is no area code. */
function isDate(value: string): boolean {
  return /^\s*\d{4}-\d{2}-\d{2}/.test(value);
}

function countDigits(value: string): number {
  let digits = 0;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code >= 0x30 && code <= 0x39) digits++;
  }
  return digits;
}

/** The check digit of payment cards (ISO/IEC 7812-1); one number repeated passes by accident and is none. */
export function passesLuhn(text: string): boolean {
  const digits = text.replace(/\D/g, '');
  if (digits.length < 13 || digits.length > 19 || /^(\d)\1*$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** The check digits of account numbers (ISO 13616, mod 97). */
export function passesMod97(text: string): boolean {
  const iban = text.replace(/ /g, '');
  if (iban.length < 15 || iban.length > 34) return false;
  let rest = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
