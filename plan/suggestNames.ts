import type { TypeKind } from '../anonymize/transformer.js';

/** A transformer as the job file writes it. */
export type RawSpec = string | null | { readonly [name: string]: unknown };

/** What a column's name says about its values. */
export interface NamePattern {
  /** Over the name in lower case, its words joined by `_`. */
  readonly name: RegExp;
  /** Kinds of columns it is about. */
  readonly kinds: readonly TypeKind[];
  /** In order of preference; the first that the column takes is suggested. */
  readonly specs: readonly RawSpec[];
  readonly what: string;
  readonly confidence: 'high' | 'medium';
  /** Rows with such a column are about a person. */
  readonly personal?: true;
}

const TEXT: readonly TypeKind[] = ['text'];
const DATES: readonly TypeKind[] = ['date', 'timestamp', 'timestamptz'];
const NUMBERS: readonly TypeKind[] = ['int2', 'int4', 'int8', 'numeric', 'float'];

/** A whole word, or several, inside a name. */
function words(...alternatives: string[]): RegExp {
  return new RegExp(`(^|_)(${alternatives.join('|')})\\d*(_|$)`);
}

/**
 * Names that say what a column holds, first match wins: the more particular stands above the more general. English
 * first, with the German words that turn up in German schemas.
 */
export const NAME_PATTERNS: readonly NamePattern[] = [
  // Secrets before everything: `email_token` is a token.
  {
    name: words('password', 'passwd', 'pwd', 'passphrase', 'kennwort', 'passwort', 'pin'),
    kinds: [...TEXT, 'bytea'],
    specs: [null, 'hash', { constant: '' }],
    what: 'a password',
    confidence: 'high',
  },
  {
    name: words(
      'token',
      'secret',
      'api_?key',
      'session',
      'session_id',
      'otp',
      'salt',
      'hash',
      'fingerprint',
      'signature',
    ),
    kinds: TEXT,
    specs: ['hash', null],
    what: 'a secret',
    confidence: 'high',
  },
  {
    name: /(^|_)e?_?mail(_?(addr|address|adresse))?\d*(_|$)/,
    kinds: TEXT,
    specs: ['email', 'permute'],
    what: 'an e-mail address',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('first_?name', 'given_?name', 'fore_?name', 'middle_?name', 'vorname', 'fname'),
    kinds: TEXT,
    specs: ['firstName', 'hash'],
    what: 'a first name',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('last_?name', 'sur_?name', 'family_?name', 'maiden_?name', 'nachname', 'lname'),
    kinds: TEXT,
    specs: ['lastName', 'hash'],
    what: 'a last name',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('user_?name', 'login', 'nick', 'nick_?name', 'screen_?name', 'handle', 'benutzername'),
    kinds: TEXT,
    specs: ['username', 'hash', 'permute'],
    what: 'a user name',
    confidence: 'high',
    personal: true,
  },
  {
    name: words(
      'full_?name',
      'contact',
      'contact_?name',
      'customer_?name',
      'person_?name',
      'display_?name',
      'card_?holder',
      'account_?holder',
      'holder',
      'recipient',
      'author',
      'patient',
    ),
    kinds: TEXT,
    specs: ['fullName', 'hash'],
    what: "a person's name",
    confidence: 'high',
    personal: true,
  },
  {
    name: words(
      'phone',
      'phone_?(no|number)',
      'mobile',
      'cell',
      'telephone',
      'telefon',
      'tel',
      'fax',
      'handy',
    ),
    kinds: TEXT,
    specs: ['phone', 'permute'],
    what: 'a phone number',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('iban'),
    kinds: TEXT,
    specs: ['iban'],
    what: 'an account number',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('credit_?card', 'card_?(no|number|num)', 'cc_?(no|number|num)', 'pan'),
    kinds: TEXT,
    specs: ['creditCard', 'permute'],
    what: 'a card number',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('cvc', 'cvv'),
    kinds: [...TEXT, ...NUMBERS],
    specs: [null, { constant: '000' }],
    what: 'a card check number',
    confidence: 'high',
  },
  {
    name: words(
      'ssn',
      'social_security',
      'tax_?(id|no|number)',
      'vat',
      'vat_?id',
      'passport',
      'national_?id',
      'id_?card',
      'licen[cs]e_?(no|number|plate)',
      'steuernummer',
    ),
    kinds: [...TEXT, 'int4', 'int8'],
    specs: ['permute', 'hash'],
    what: 'an official number',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('ip', 'ip_?addr(ess)?', 'remote_addr(ess)?', 'client_ip', 'last_ip'),
    kinds: [...TEXT, 'inet'],
    specs: ['ip', 'hash'],
    what: 'a network address',
    confidence: 'high',
  },
  {
    name: words('birth', 'birth_?(date|day)', 'date_of_birth', 'dob', 'born', 'geburtsdatum', 'geburtstag'),
    kinds: DATES,
    specs: [{ dateTruncate: 'year' }, 'dateShift'],
    what: 'a date of birth',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('zip', 'zip_?code', 'post_?code', 'postal_?code', 'plz'),
    kinds: TEXT,
    specs: ['postalCode', 'permute'],
    what: 'a postal code',
    confidence: 'high',
  },
  {
    name: words(
      'street',
      'street_?name',
      'addr',
      'address',
      'address_?line',
      'strasse',
      'straße',
      'anschrift',
    ),
    kinds: TEXT,
    specs: ['street', 'hash'],
    what: 'an address',
    confidence: 'high',
    personal: true,
  },
  {
    name: words('city', 'town', 'locality', 'ort', 'stadt', 'place_of_birth', 'birth_?place'),
    kinds: TEXT,
    specs: ['city', 'permute'],
    what: 'a place',
    confidence: 'high',
  },
  {
    name: words('company', 'company_?name', 'organi[sz]ation', 'employer', 'firm', 'firma'),
    kinds: TEXT,
    specs: ['company', 'hash'],
    what: 'a company',
    confidence: 'medium',
  },
  {
    name: words('url', 'uri', 'website', 'homepage', 'avatar', 'link', 'profile_?url', 'linkedin', 'twitter'),
    kinds: TEXT,
    specs: ['url', 'hash'],
    what: 'a link',
    confidence: 'medium',
  },
  {
    name: words('user_?agent', 'device', 'device_?id', 'imei', 'mac', 'mac_?addr(ess)?'),
    kinds: TEXT,
    specs: ['hash', 'permute'],
    what: 'a device',
    confidence: 'medium',
  },
  {
    name: words('salary', 'income', 'wage', 'gehalt', 'lohn'),
    kinds: NUMBERS,
    specs: ['noise'],
    what: 'a salary',
    confidence: 'medium',
    personal: true,
  },
  {
    name: words('lat', 'latitude', 'lon', 'lng', 'longitude'),
    kinds: ['numeric', 'float'],
    specs: ['noise'],
    what: 'a position',
    confidence: 'medium',
  },
  {
    name: words('photo', 'picture', 'image', 'scan', 'signature'),
    kinds: ['bytea'],
    specs: [null],
    what: 'a picture',
    confidence: 'medium',
    personal: true,
  },
  {
    name: words(
      'account_?(no|number|num)',
      'customer_?(no|number|num)',
      'member_?(no|number|num)',
      'contract_?(no|number|num)',
      'external_?(id|ref)',
      'stripe_?id',
    ),
    kinds: [...TEXT, 'int4', 'int8'],
    specs: ['permute', 'hash'],
    what: 'a number that stands for a person or contract',
    confidence: 'medium',
  },
  {
    name: words(
      'notes?',
      'comments?',
      'message',
      'body',
      'bio',
      'about',
      'remarks?',
      'feedback',
      'review',
      'content',
      'free_?text',
      'subject',
      'bemerkung',
      'notiz',
    ),
    kinds: TEXT,
    specs: ['scramble'],
    what: 'free text, in which anything may stand',
    confidence: 'medium',
  },
  {
    name: words(
      'status',
      'state',
      'type',
      'kind',
      'category',
      'code',
      'sku',
      'currency',
      'country',
      'country_?code',
      'iso',
      'locale',
      'lang',
      'language',
      'time_?zone',
      'unit',
      'color',
      'colour',
      'size',
      'rating',
      'priority',
      'method',
      'version',
      'mime_?type',
      'format',
      'level',
      'region',
      'continent',
    ),
    kinds: TEXT,
    specs: ['keep'],
    what: 'a word from a short list',
    confidence: 'medium',
  },
];

/** Times that a system writes about itself. */
export const SYSTEM_TIMES = words(
  'created',
  'updated',
  'modified',
  'changed',
  'deleted',
  'inserted',
  'last_update',
  'valid_(from|to|until)',
  'expires',
  'expiry',
  'processed',
  'sent',
  'shipped',
  'ordered',
  'paid',
  'returned',
  'placed',
  'due',
);

/** Tables whose rows are persons: their `name` is a person's name. */
export const PERSON_TABLES =
  /(^|_)(customer|client|user|person|people|employee|staff|member|contact|patient|student|actor|author|driver|guest|visitor|lead|profile|kunde|mitarbeiter)s?$/;

/** `firstName`, `First Name`, `FIRST-NAME` → `first_name`. */
export function foldName(name: string): string {
  return name
    .replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1_$2')
    .replace(/[^\p{L}\d]+/gu, '_')
    .toLowerCase();
}
