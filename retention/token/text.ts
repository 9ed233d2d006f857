import { HEADER_LENGTH, type Header, parseHeader } from './format.js';
import type { Outcome, Revealed, Revealer } from './revealer.js';
import { type Found, segments } from './scan.js';

/** What stands where a token cannot be read. Null: nothing; a value that is one token becomes null. */
export interface Markers {
  readonly expired: string | null;
  readonly noKey: string | null;
  readonly tampered: string | null;
  /** For tokens of bytes, which only `open` gives. */
  readonly binary: string | null;
}

export const DEFAULT_MARKERS: Markers = {
  expired: '[expired]',
  noKey: '[no key]',
  tampered: '[tampered]',
  binary: '[binary]',
};

export interface RevealTextOptions {
  /** What the values were sealed under; default the revealer's. */
  readonly context?: string;
  /** Default `[expired]`, `[no key]`, `[tampered]`, `[binary]`. */
  readonly markers?: Partial<Markers>;
  /** Other markers for some policies, by id. */
  readonly policyMarkers?: Readonly<Record<string, Partial<Markers>>>;
  /** False leaves the tokens of a policy as they are; default all are read. */
  readonly takes?: (policy: string) => boolean;
  /** Hears of each token by its outcome. */
  readonly count?: (outcome: Exclude<Outcome, 'notToken'>) => void;
}

/** Reveals every token inside a text; all else stays. See `revealTexts`. */
export function revealText(revealer: Revealer, text: string, options?: RevealTextOptions): string | null {
  return revealTexts(revealer, [text], options)[0]!;
}

/**
 * Reveals every token inside each of many texts: 100 or more go fastest. What is no token stays as it is; a token that
 * cannot be read becomes its marker. A part that looks like a token and is tampered with does not hide a token that
 * starts inside it: its marker then stands for the part before.
 */
export function revealTexts(
  revealer: Revealer,
  texts: readonly (string | null)[],
  options: RevealTextOptions = {},
): (string | null)[] {
  const tampered = texts.map((): Found[] => []);
  const parts = segments(
    revealer,
    texts,
    options.context,
    ({ outcome }) => outcome !== 'tampered',
    (i, part, { outcome }) => {
      if (outcome === 'tampered') tampered[i]!.push(part);
    },
  );
  const marker = markerFor(options);
  const takes = options.takes ?? (() => true);
  return texts.map((text, i) => {
    const taken = parts[i]!.filter(({ header }) => takes(header.policy));
    const replaced: Replacement[] = taken.map(({ start, end, header, revealed }) => {
      options.count?.(revealed.outcome as Exclude<Outcome, 'notToken'>);
      return { start, end, text: marker(revealed, header) };
    });
    for (const { start, end } of tampered[i]!) {
      const header = parseHeader(text!.slice(start, start + HEADER_LENGTH))!;
      if (!takes(header.policy)) continue;
      options.count?.('tampered');
      replaced.push({ start, end, text: marker({ outcome: 'tampered' }, header) });
    }
    return text === null ? null : replaceParts(text, replaced);
  });
}

interface Replacement extends Found {
  readonly text: string | null;
}

/** What overlaps ends where the next begins. */
function replaceParts(text: string, parts: readonly Replacement[]): string | null {
  const [only] = parts;
  if (!only) return text;
  if (parts.length === 1 && only.start === 0 && only.end === text.length) return only.text;
  const sorted = [...parts].sort((a, b) => a.start - b.start);
  let out = '';
  let at = 0;
  for (const [i, part] of sorted.entries()) {
    out += text.slice(at, part.start) + (part.text ?? '');
    at = Math.min(part.end, sorted[i + 1]?.start ?? part.end);
  }
  return out + text.slice(at);
}

/** The text that stands for a token. */
export function markerFor(options: RevealTextOptions): (revealed: Revealed, header: Header) => string | null {
  const common = { ...DEFAULT_MARKERS, ...options.markers };
  return ({ outcome, text }, { policy }) => {
    if (text !== undefined) return text;
    const own: Markers = { ...common, ...options.policyMarkers?.[policy] };
    return own[outcome === 'value' ? 'binary' : (outcome as keyof Markers)];
  };
}
