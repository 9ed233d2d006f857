import { z } from 'zod';
import { characters } from '../characters.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { scrambler } from '../scrambler.js';
import { type Column, defineTransformer } from '../transformer.js';

/** `https://` and eight letters under the reserved `.example` (RFC 2606). */
const SHORTEST = 24;

/** Web and other addresses with another host and path. */
export const url = defineTransformer({
  name: 'url',
  version: 1,
  summary:
    'Replaces the host by one under `.example` and scrambles user, path, query and fragment; scheme and port stay.',
  example: { input: 'https://ann.smith@acme.com:8443/users/42?q=caf%C3%A9' },
  options: z.strictObject({
    keepHost: z.boolean().default(false).describe('Keep the host.'),
    keepPath: z.boolean().default(false).describe('Keep the path; query and fragment are still scrambled.'),
    onInvalid,
  }),
  accepts: (type, options) => {
    if (type.kind !== 'text') return 'it takes text';
    const short = type.maxLength !== undefined && type.maxLength < SHORTEST && !options.keepHost;
    return short
      ? `a new host may need ${SHORTEST} characters; use scramble`
      : acceptsInvalid(type, options.onInvalid);
  },
  proof: (_, options) => ({
    unique: 'no',
    mayEqualInput: options.keepHost || options.keepPath,
    keepsNull: options.onInvalid !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { options, type, prf } = context;
    const finish = invalidRows(context);
    const scramble = { user: scrambler(prf, 'url/user'), tail: scrambler(prf, 'url/tail') };
    const hosts = (names: Column) => {
      const bytes = prf.bytes('url/host', names);
      return names.map((_, i) =>
        Array.from(bytes.slice(i * 16, i * 16 + 8), (b) => LETTERS[(b * 26) >> 8]).join(''),
      );
    };
    return (column, chunk) => {
      const values = unpadded(type, column);
      const parts = values.map((value) => (value === null ? undefined : split(value, options.keepPath)));
      const users = scramble.user(parts.map((part) => part?.user ?? null));
      const tails = scramble.tail(parts.map((part) => part?.tail ?? null));
      const names = hosts(parts.map((part) => part?.host?.toLowerCase() ?? null));
      const unread: Unread[] = [];
      const out = values.map((value, row) => {
        const part = parts[row];
        if (value !== null && !part) unread.push({ row, reason: 'not a URL' });
        if (!part) return null;
        const host = part.host === undefined ? '' : options.keepHost ? part.host : `${names[row]}.example`;
        const user = part.user === undefined ? '' : `${users[row]}@`;
        const tail = tails[row]!.replaceAll(ESCAPED, '%20');
        return cut(`${part.scheme}${user}${host}${part.port}${part.path}${tail}`, type.maxLength);
      });
      return finish(values, out, unread, chunk);
    };
  },
});

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
/** Stands for a percent-encoded byte while the text around it is scrambled: private use, so it stays. */
const ESCAPED = '\uf8ff';

interface Parts {
  /** With `:` and `//`. */
  readonly scheme: string;
  readonly user?: string | undefined;
  readonly host?: string | undefined;
  readonly port: string;
  /** What stays of the path. */
  readonly path: string;
  readonly tail: string;
}

const WITH_HOST =
  /^((?:[a-z][a-z0-9+.-]*:)?\/\/)(?:([^/?#\s]*)@)?(\[[0-9a-f:.]+\]|[^/?#\s:@[\]]+)?(:\d*)?([/?#]\S*)?$/iu;
const WITHOUT_SCHEME =
  /^()()((?:[\p{L}\p{N}_-]{1,63}\.){1,126}\p{L}[\p{L}\p{N}-]{0,62}|localhost|\d+\.\d+\.\d+\.\d+)(:\d+)?([/?#]\S*)?$/iu;
const WITHOUT_HOST = /^((?:mailto|tel|sms|callto|data|urn|about|blob|file|javascript|magnet|geo):)(\S+)$/iu;
const RELATIVE = /^()((?:\.{0,2}\/|[?#])\S*)$/u;

/** The parts of a URL (RFC 3986, appendix B), without normalizing it; undefined where it is none. */
function split(value: string, keepPath: boolean): Parts | undefined {
  const hosted = WITH_HOST.exec(value) ?? WITHOUT_SCHEME.exec(value);
  const [, scheme = '', user, host, port = '', rest = ''] = hosted ?? [];
  const plain = hosted ? undefined : (WITHOUT_HOST.exec(value) ?? RELATIVE.exec(value));
  if (!hosted && !plain) return undefined;
  const whole = plain ? plain[2]! : rest;
  if (!host && !/[\p{L}\p{N}]/u.test(whole)) return undefined;
  const pathEnd = keepPath && (hosted || plain![1] === '') ? /^[^?#]*/.exec(whole)![0].length : 0;
  const tail = whole.slice(pathEnd).replace(/%[0-9a-f]{2}/gi, ESCAPED);
  return {
    scheme: plain ? plain[1]! : scheme,
    user: user || undefined,
    host,
    port,
    path: whole.slice(0, pathEnd),
    tail,
  };
}

function cut(text: string, maxLength: number | undefined): string {
  if (maxLength === undefined || characters(text) <= maxLength) return text;
  return Array.from(text).slice(0, maxLength).join('').replace(/%.?$/u, '');
}
