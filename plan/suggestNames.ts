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

type Given = [what: string, kinds: readonly TypeKind[], specs: readonly RawSpec[], name: RegExp];

function sure(...[what, kinds, specs, name]: Given): NamePattern {
  return { what, kinds, specs, name, confidence: 'high' };
}

function likely(...given: Given): NamePattern {
  return { ...sure(...given), confidence: 'medium' };
}

function surePerson(...given: Given): NamePattern {
  return { ...sure(...given), personal: true };
}

function likelyPerson(...given: Given): NamePattern {
  return { ...likely(...given), personal: true };
}

/**
 * Names that say what a column holds, first match wins: the more particular stands above the more general. English
 * first, with the German words that turn up in German schemas.
 */
export const NAME_PATTERNS: readonly NamePattern[] = [
  // Secrets before everything: `email_token` is a token.
  sure(
    'a password',
    [...TEXT, 'bytea'],
    [null, 'hash', { constant: '' }],
    words('password', 'passwd', 'pwd', 'passphrase', 'kennwort', 'passwort', 'pin'),
  ),
  sure(
    'a secret',
    TEXT,
    ['hash', null],
    words(
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
  ),
  surePerson(
    'an e-mail address',
    TEXT,
    ['email', 'permute'],
    /(^|_)e?_?mail(_?(addr|address|adresse))?\d*(_|$)/,
  ),
  surePerson(
    'a first name',
    TEXT,
    ['firstName', 'hash'],
    words('first_?name', 'given_?name', 'fore_?name', 'middle_?name', 'vorname', 'fname'),
  ),
  surePerson(
    'a last name',
    TEXT,
    ['lastName', 'hash'],
    words('last_?name', 'sur_?name', 'family_?name', 'maiden_?name', 'nachname', 'lname'),
  ),
  surePerson(
    'a user name',
    TEXT,
    ['username', 'hash', 'permute'],
    words('user_?name', 'login', 'nick', 'nick_?name', 'screen_?name', 'handle', 'benutzername'),
  ),
  surePerson(
    "a person's name",
    TEXT,
    ['fullName', 'hash'],
    words(
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
  ),
  surePerson(
    'a phone number',
    TEXT,
    ['phone', 'permute'],
    words('phone', 'phone_?(no|number)', 'mobile', 'cell', 'telephone', 'telefon', 'tel', 'fax', 'handy'),
  ),
  surePerson('an account number', TEXT, ['iban'], words('iban')),
  surePerson(
    'a card number',
    TEXT,
    ['creditCard', 'permute'],
    words('credit_?card', 'card_?(no|number|num)', 'cc_?(no|number|num)', 'pan'),
  ),
  sure('a card check number', [...TEXT, ...NUMBERS], [null, { constant: '000' }], words('cvc', 'cvv')),
  surePerson(
    'an official number',
    [...TEXT, 'int4', 'int8'],
    ['permute', 'hash'],
    words(
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
  ),
  sure(
    'a network address',
    [...TEXT, 'inet'],
    ['ip', 'hash'],
    words('ip', 'ip_?addr(ess)?', 'remote_addr(ess)?', 'client_ip', 'last_ip'),
  ),
  surePerson(
    'a date of birth',
    DATES,
    [{ dateTruncate: 'year' }, 'dateShift'],
    words('birth', 'birth_?(date|day)', 'date_of_birth', 'dob', 'born', 'geburtsdatum', 'geburtstag'),
  ),
  sure(
    'a postal code',
    TEXT,
    ['postalCode', 'permute'],
    words('zip', 'zip_?code', 'post_?code', 'postal_?code', 'plz'),
  ),
  surePerson(
    'an address',
    TEXT,
    ['street', 'hash'],
    words('street', 'street_?name', 'addr', 'address', 'address_?line', 'strasse', 'straße', 'anschrift'),
  ),
  sure(
    'a place',
    TEXT,
    ['city', 'permute'],
    words('city', 'town', 'locality', 'ort', 'stadt', 'place_of_birth', 'birth_?place'),
  ),
  likely(
    'a company',
    TEXT,
    ['company', 'hash'],
    words('company', 'company_?name', 'organi[sz]ation', 'employer', 'firm', 'firma'),
  ),
  likely(
    'a link',
    TEXT,
    ['url', 'hash'],
    words('url', 'uri', 'website', 'homepage', 'avatar', 'link', 'profile_?url', 'linkedin', 'twitter'),
  ),
  likely(
    'a device',
    TEXT,
    ['hash', 'permute'],
    words('user_?agent', 'device', 'device_?id', 'imei', 'mac', 'mac_?addr(ess)?'),
  ),
  likelyPerson('a salary', NUMBERS, ['noise'], words('salary', 'income', 'wage', 'gehalt', 'lohn')),
  likely('a position', ['numeric', 'float'], ['noise'], words('lat', 'latitude', 'lon', 'lng', 'longitude')),
  likelyPerson('a picture', ['bytea'], [null], words('photo', 'picture', 'image', 'scan', 'signature')),
  likely(
    'a number that stands for a person or contract',
    [...TEXT, 'int4', 'int8'],
    ['permute', 'hash'],
    words(
      'account_?(no|number|num)',
      'customer_?(no|number|num)',
      'member_?(no|number|num)',
      'contract_?(no|number|num)',
      'external_?(id|ref)',
      'stripe_?id',
    ),
  ),
  likely(
    'free text, in which anything may stand',
    TEXT,
    ['scramble'],
    words(
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
  ),
  likely(
    'a word from a short list',
    TEXT,
    ['keep'],
    words(
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
  ),
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
