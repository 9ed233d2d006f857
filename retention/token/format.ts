import { LetheError } from '../../errors/errors.js';
import { type Day, dayOf, isDate } from './day.js';

/** `lt1` text, `lp1` padded text, `lb1` bytes, `lq1` padded bytes. */
export type TokenKind = 'lt1' | 'lp1' | 'lb1' | 'lq1';

/** Characters of a header: kind, policy, date and their points. */
export const HEADER_LENGTH = 13;
export const SALT_LENGTH = 12;
export const TAG_LENGTH = 16;
/** Most bytes that one token holds, padding included. */
export const MAX_BYTES = 65_536;
/** Most bytes of a context, in UTF-8. */
export const MAX_CONTEXT = 1_024;
/** Most characters of a body: salt, 65,536 bytes and tag in base64url. */
export const MAX_BODY = 87_419;
const MIN_BODY = 38;

/** Finds what looks like a token in any text; `parseToken` says whether it is one. */
export const TOKEN_PATTERN = /l[tpbq]1\.[a-z0-9]{2}[0-9]{6}\.[A-Za-z0-9_-]{38,}\./;

const HEADER = /^l[tpbq]1\.[a-z0-9]{2}[0-9]{6}\.$/;
const BODY = /^[A-Za-z0-9_-]+$/;

/** Characters of a token of so many bytes, filled up to a multiple of `pad`. */
export function tokenLength(bytes: number, pad = 0): number {
  const plain = pad > 0 ? Math.ceil((bytes + 1) / pad) * pad : bytes;
  return HEADER_LENGTH + Math.ceil(((SALT_LENGTH + plain + TAG_LENGTH) * 4) / 3) + 1;
}

/** What the outside of a token says. */
export interface TokenParts {
  readonly kind: TokenKind;
  readonly policy: string;
  readonly day: Day;
  readonly salt: Buffer;
  readonly cipher: Buffer;
  readonly tag: Buffer;
}

/** A header that is read already. */
export interface Header {
  readonly kind: TokenKind;
  readonly policy: string;
  readonly day: Day;
}

/** Reads the first 13 characters of a token; undefined where they are no header. */
export function parseHeader(text: string): Header | undefined {
  if (!HEADER.test(text) || !isDate(text.slice(6, 12))) return undefined;
  return { kind: text.slice(0, 3) as TokenKind, policy: text.slice(4, 6), day: dayOf(text.slice(6, 12)) };
}

/**
 * Whether a text ends as a token does: a point, and before it a body of a possible length whose unused bits are zero.
 * Says nothing of the header and of the letters of the body.
 */
export function hasTokenShape(text: string): boolean {
  const body = text.length - HEADER_LENGTH - 1;
  if (body < MIN_BODY || body > MAX_BODY || text.charCodeAt(text.length - 1) !== 0x2e) return false;
  return MAY_BE_LAST[(body & 3) * 128 + text.charCodeAt(text.length - 2)] === 1;
}

/** Which characters may end a body, by its length modulo 4: those whose unused bits are zero. */
const MAY_BE_LAST = new Uint8Array(4 * 128);
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
  MAY_BE_LAST[letter.charCodeAt(0)] = 1;
}
for (const letter of 'AQgw') MAY_BE_LAST[2 * 128 + letter.charCodeAt(0)] = 1;
for (const letter of 'AEIMQUYcgkosw048') MAY_BE_LAST[3 * 128 + letter.charCodeAt(0)] = 1;

/** Reads a token without opening it; undefined where the text is none. */
export function parseToken(text: string): TokenParts | undefined {
  if (!hasTokenShape(text)) return undefined;
  const header = parseHeader(text.slice(0, HEADER_LENGTH));
  const body = text.slice(HEADER_LENGTH, -1);
  if (!header || !BODY.test(body)) return undefined;
  const bytes = Buffer.from(body, 'base64url');
  return {
    ...header,
    salt: bytes.subarray(0, SALT_LENGTH),
    cipher: bytes.subarray(SALT_LENGTH, -TAG_LENGTH),
    tag: bytes.subarray(-TAG_LENGTH),
  };
}

/** Throws `RetentionInvalid` unless the id is two of `a`–`z`, `0`–`9`. */
export function requirePolicy(policy: string): string {
  if (typeof policy === 'string' && /^[a-z0-9]{2}$/.test(policy)) return policy;
  throw new LetheError('RetentionInvalid', 'A policy id is two characters of a–z and 0–9, such as ip.');
}

/** C of the specification: the length of the context in two bytes, then the context. */
export function contextBytes(context: string): Buffer {
  const text = Buffer.from(context, 'utf8');
  if (text.length > MAX_CONTEXT) {
    throw new LetheError(
      'RetentionInvalid',
      `A context has at most ${MAX_CONTEXT} bytes in UTF-8; this one has ${text.length}.`,
    );
  }
  if (!isWellFormed(context)) throw new LetheError('RetentionInvalid', 'A context must be well-formed text.');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([length, text]);
}

/** False where a text has half of a surrogate pair, which UTF-8 cannot hold. */
export function isWellFormed(text: string): boolean {
  return !/[\uD800-\uDFFF]/u.test(text);
}
