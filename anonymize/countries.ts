import { createRequire } from 'node:module';
import type { CountryCode } from 'libphonenumber-js/min';

export type { CountryCode };

// As CommonJS its files load in a fifth of the time that they take as ES modules; and only where a number is asked for.
const require = createRequire(import.meta.url);
const phone = () => require('libphonenumber-js/min') as typeof import('libphonenumber-js/min');

/** Countries that have telephone numbers, by ISO 3166. */
export function getCountries(): CountryCode[] {
  return phone().getCountries();
}

/** Without the plus: `49`. */
export function getCountryCallingCode(country: CountryCode): string {
  return phone().getCountryCallingCode(country);
}
