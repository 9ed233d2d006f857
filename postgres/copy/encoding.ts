import { TextDecoder } from 'node:util';
import { LetheError } from '../../errors/errors.js';
import type { CopyChunk } from './out.js';

/**
 * PostgreSQL's names for encodings that hold no ASCII byte inside a longer character, and Node's for the same: only
 * there are tabs, line feeds and backslashes what they seem.
 */
const NAMES: Readonly<Record<string, string>> = {
  LATIN2: 'iso-8859-2',
  LATIN3: 'iso-8859-3',
  LATIN4: 'iso-8859-4',
  LATIN5: 'iso-8859-9',
  LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13',
  LATIN8: 'iso-8859-14',
  LATIN9: 'iso-8859-15',
  LATIN10: 'iso-8859-16',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_6: 'iso-8859-6',
  ISO_8859_7: 'iso-8859-7',
  ISO_8859_8: 'iso-8859-8',
  WIN866: 'ibm866',
  WIN874: 'windows-874',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  EUC_JP: 'euc-jp',
  EUC_KR: 'euc-kr',
  EUC_CN: 'gbk',
};

/** 0x80 to 0x9f; what is not assigned stays the control character that it is in Latin-1. */
const WIN1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

const LINE_FEED = 0x0a;

/** Rows of a SQL_ASCII database, whose bytes are in `encoding`, in UTF-8. */
export function toUtf8(chunk: CopyChunk, encoding: string): CopyChunk {
  const bytes = Buffer.from(decode(chunk.bytes, encoding.toUpperCase()));
  const ends: number[] = [];
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) ends.push(at + 1);
  return { bytes, ends };
}

/** What Node calls ISO 8859-1 and Windows-1252 is neither of them in every version; both are done here. */
function decode(bytes: Buffer, encoding: string): string {
  if (encoding === 'LATIN1') return bytes.toString('latin1');
  if (encoding === 'WIN1252')
    return bytes.toString('latin1').replace(/[\x80-\x9f]/g, (c) => WIN1252[c.charCodeAt(0) - 0x80]!);
  const name = NAMES[encoding];
  if (name) return new TextDecoder(name, { ignoreBOM: true }).decode(bytes);
  throw new LetheError(
    'JobInvalid',
    `The encoding ${encoding} of the source is not supported; known are UTF8, LATIN1, WIN1252, ${Object.keys(NAMES).join(', ')}.`,
  );
}
