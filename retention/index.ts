/**
 * Sealing and revealing as a library: no Temporal, no database.
 *
 * @example
 * ```ts
 * import { dayKeys, Keyring, Revealer, revealText, Sealer, sealMatches } from 'lethe/retention';
 *
 * const day = '2026-03-01';
 * const keys = new Map([[day, dayKeys(key, 'ip', day)]]);
 * const ring = { policy: 'ip', asOf: day, first: '2026-01-30', window: 30, gone: [], keys };
 * const keyring = new Keyring([ring]);
 * const sealer = new Sealer({ keyring, policy: 'ip', context: 'access log' });
 *
 * const line = sealMatches(sealer, 'GET / from 192.0.2.7', 'ipv4', day);
 * // GET / from lt1.ip260301.….
 * revealText(new Revealer(keyring, 'access log'), line);
 * // GET / from 192.0.2.7; and GET / from [expired] when 30 days are over
 * ```
 */

export {
  type MaskedColumn,
  type SnowflakeOptions,
  snowflakeDdl,
  snowflakeVariables,
} from './dialects/snowflake.js';
export { addDays, type Day, dayAt, isDay } from './token/day.js';
export type { FieldRule } from './token/fields.js';
export {
  type Header,
  MAX_BYTES,
  MAX_CONTEXT,
  parseHeader,
  parseToken,
  TOKEN_PATTERN,
  type TokenKind,
  type TokenParts,
} from './token/format.js';
export { type RevealJsonOptions, revealJson, sealJson } from './token/json.js';
export { type PatternLike, type SealedMatches, sealMatches, sealMatchesAll } from './token/matches.js';
export {
  revealObjects,
  revealStream,
  type SealStreamOptions,
  sealObjects,
  sealStream,
} from './token/objects.js';
export { PATTERNS, type PatternName, type SealPattern } from './token/patterns.js';
export { type Outcome, type Revealed, Revealer } from './token/revealer.js';
export { dayKeys, Keyring, type Ring } from './token/ring.js';
export { type Found, findTokens } from './token/scan.js';
export { type SealAllOptions, Sealer, type SealerOptions } from './token/sealer.js';
export {
  DEFAULT_MARKERS,
  type Markers,
  type RevealTextOptions,
  revealText,
  revealTexts,
} from './token/text.js';
