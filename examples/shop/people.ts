import type { Random } from './random.js';
import { COUNTRIES, type Country } from './words.js';

/** Someone whose personal data the shop holds. */
export interface Person {
  readonly country: Country;
  readonly first: string;
  readonly last: string;
  readonly email: string;
  readonly phone: string;
  readonly born: string;
  readonly iban: string | null;
}

const MAIL = ['example.com', 'example.org', 'mail.example', 'post.example', 'büro.example'];

/** `serial` makes the address unique. */
export function person(random: Random, serial: number): Person {
  const country = random.pick(COUNTRIES);
  const first = random.pick(country.firstNames);
  const last = random.pick(country.lastNames);
  const local = ascii(`${first}.${last}`) || `user.${country.code}`;
  return {
    country,
    first,
    last,
    email: `${random.chance(0.1) ? capitalized(local) : local.toLowerCase()}${serial}@${random.pick(MAIL)}`,
    phone: random.digits(country.phone),
    born: `${random.between(1938, 2006)}-0${random.between(1, 9)}-${random.between(10, 28)}`,
    iban: country.iban ? iban(random, ...country.iban) : null,
  };
}

/** Four groups of four digits that pass the Luhn check. */
export function cardNumber(random: Random): string {
  const body = `4${random.digits('##############')}`;
  let sum = 0;
  for (let i = 0; i < body.length; i += 1) {
    const digit = Number(body[i]) * (i % 2 === 0 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  const number = `${body}${(10 - (sum % 10)) % 10}`;
  return number.replace(/(.{4})(?!$)/g, '$1 ');
}

/** An account number whose check digits are right (ISO 13616). */
function iban(random: Random, code: string, digits: number): string {
  const account = random.digits('#'.repeat(digits));
  const letters = [...code].map((letter) => letter.charCodeAt(0) - 55).join('');
  const check = 98n - (BigInt(`${account}${letters}00`) % 97n);
  return `${code}${String(check).padStart(2, '0')}${account}`;
}

function ascii(text: string): string {
  return text
    .replace(/ß/g, 'ss')
    .replace(/[łŁ]/g, 'l')
    .normalize('NFD')
    .replace(/[^A-Za-z.-]/g, '')
    .replace(/^\.+|\.+$/g, '');
}

function capitalized(text: string): string {
  return text.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
}
