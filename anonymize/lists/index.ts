// Written by scripts/lists.mjs.
import adjectivev1 from './adjective.v1.js';
import cityv1 from './city.v1.js';
import firstNamev1 from './firstName.v1.js';
import lastNamev1 from './lastName.v1.js';
import nounv1 from './noun.v1.js';
import streetv1 from './street.v1.js';

/** Every value list with its version: one entry a line. */
export const LISTS: Readonly<Record<string, string>> = {
  'adjective.v1': adjectivev1,
  'city.v1': cityv1,
  'firstName.v1': firstNamev1,
  'lastName.v1': lastNamev1,
  'noun.v1': nounv1,
  'street.v1': streetv1,
};
