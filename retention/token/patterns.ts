import { isIPv6 } from 'node:net';

/** What to seal inside texts: whole matches or, where a pattern has a group named `value`, that group of each. */
export interface SealPattern {
  readonly regex: RegExp;
  /** Looks again at what matched; default everything is taken. */
  readonly accepts?: (match: string) => boolean;
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|[01]?\\d?\\d)';

/** Patterns by name. */
export const PATTERNS = {
  ipv4: { regex: new RegExp(`(?<![\\d.])${OCTET}(?:\\.${OCTET}){3}(?!\\d|\\.\\d)`) },
  ipv6: {
    regex: /(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\d{0,3}(?:\.\d{1,3}){3})?(?![\w:])/i,
    accepts: isIPv6,
  },
  email: { regex: /[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}/ },
  mac: { regex: /(?<![\w:-])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?![\w:-])/i },
  uuid: { regex: /(?<![\w-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\w-])/i },
} as const satisfies Record<string, SealPattern>;

export type PatternName = keyof typeof PATTERNS;
