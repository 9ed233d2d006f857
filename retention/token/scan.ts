import { HEADER_LENGTH, type Header, parseHeader, TOKEN_PATTERN } from './format.js';
import type { Revealed, Revealer } from './revealer.js';

/** A part of a text that looks like a token. */
export interface Found {
  readonly start: number;
  readonly end: number;
}

/** A part of a text that is a token, and what became of it. */
export interface Segment extends Found {
  readonly header: Header;
  readonly revealed: Revealed;
}

const EVERY = new RegExp(TOKEN_PATTERN.source, 'g');
/** A token that starts inside another one can only start with its last characters: bodies have no point. */
const OVERLAP = 4;

/** Everything in a text that looks like a token, in order; one may start in the last characters of the one before. */
export function findTokens(text: string): Found[] {
  const found: Found[] = [];
  EVERY.lastIndex = 0;
  for (let match = EVERY.exec(text); match; match = EVERY.exec(text)) {
    found.push({ start: match.index, end: EVERY.lastIndex });
    EVERY.lastIndex -= OVERLAP;
  }
  return found;
}

/**
 * The tokens of many texts, opened together. From left to right: what `takes` refuses does not hide what starts inside
 * it. `refused` hears of each part that looks like a token and was not taken.
 */
export function segments(
  revealer: Revealer,
  texts: readonly (string | null)[],
  context: string | undefined,
  takes: (revealed: Revealed, header: Header) => boolean,
  refused: (text: number, part: Found, revealed: Revealed) => void = () => undefined,
): Segment[][] {
  const found = texts.map((text) => (text === null || text.length < HEADER_LENGTH ? [] : findTokens(text)));
  const opened = revealer.openAll(
    found.flatMap((parts, i) => parts.map(({ start, end }) => texts[i]!.slice(start, end))),
    context,
  );
  let next = 0;
  return found.map((parts, i) => {
    const taken: Segment[] = [];
    let from = 0;
    for (const part of parts) {
      const revealed = opened[next++]!;
      if (part.start < from) continue;
      const header = parseHeader(texts[i]!.slice(part.start, part.start + HEADER_LENGTH));
      if (header && revealed.outcome !== 'notToken' && takes(revealed, header)) {
        taken.push({ ...part, header, revealed });
        from = part.end;
      } else refused(i, part, revealed);
    }
    return taken;
  });
}
