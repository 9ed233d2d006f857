import { PATTERNS, type SealPattern } from '../../retention/token/patterns.js';

/** A built-in pattern as PostgreSQL reads it: the same expression, which finds the same under collation "C". */
export interface DatabasePattern {
  readonly expression: string;
  readonly flags: string;
  /** What a match has to be besides; null: nothing. */
  readonly accepts: string | null;
}

const GROUP = '[0-9a-fA-F]{1,4}';
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const V4 = `${OCTET}(?:[.]${OCTET}){3}`;

/** What Node's `isIPv6` accepts: groups before `::`, groups after it, and IPv4 at the end. */
const IPV6 = `^(?:${[
  `(?:${GROUP}:){7}(?:${GROUP}|:)`,
  `(?:${GROUP}:){6}(?:${V4}|:${GROUP}|:)`,
  ...[5, 4, 3, 2, 1, 0].map((before) => {
    const after = 7 - before;
    const start = before === 0 ? ':' : `(?:${GROUP}:){${before}}`;
    return `${start}(?:(?::${GROUP}){0,${after - 2}}:${V4}|(?::${GROUP}){1,${after}}|:)`;
  }),
].join('|')})$`;

const ACCEPTS: Readonly<Record<string, string>> = { ipv6: IPV6 };

/** A pattern of the retention file; undefined for an expression of one's own, which means other things in PostgreSQL. */
export function databasePattern(name: string): DatabasePattern | undefined {
  if (!Object.hasOwn(PATTERNS, name)) return undefined;
  const { regex }: SealPattern = PATTERNS[name as keyof typeof PATTERNS];
  return {
    expression: regex.source,
    flags: regex.flags.includes('i') ? 'i' : '',
    accepts: ACCEPTS[name] ?? null,
  };
}
