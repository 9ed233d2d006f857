import type { PathState } from './path.js';

export type LeafKind = 'string' | 'number' | 'boolean' | 'null' | 'empty';

/** A scalar, or an object or array without members, where it stands in its document. */
export interface Leaf {
  readonly kind: LeafKind;
  readonly start: number;
  readonly end: number;
  /** 0 for the document itself. */
  readonly depth: number;
  /** See `PathState.path`. */
  readonly path: number;
}

/** Deepest nesting that is read. */
const MAX_DEPTH = 1000;

/** Says what is wrong with a document without showing any of it. */
export class JsonMistake extends Error {}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const BLANK = /[ \t\n\r]*/y;
/**
 * Finds every leaf of a JSON text, in order. The text is not turned into values, so that whoever replaces leaves keeps
 * all else as it was: numbers digit by digit, the order of members, members that occur twice, blanks.
 *
 * Throws `JsonMistake` when the text is not JSON (RFC 8259) or nested too deep.
 */
export function scanLeaves(text: string, root: PathState): Leaf[] {
  const leaves: Leaf[] = [];
  let at = 0;

  function blank(): void {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && !(code >= 9 && code <= 13)) return;
    BLANK.lastIndex = at;
    BLANK.test(text);
    at = BLANK.lastIndex;
  }

  function string(): void {
    at = stringEnd(text, at);
  }

  function leaf(kind: LeafKind, start: number, depth: number, state: PathState): void {
    // Nothing is where a path would have gone on: `"contacts": []` is decided by `$.contacts[*].name`.
    const nothing = kind === 'empty' || kind === 'null';
    const path = nothing && state.path < 0 ? state.below : state.path;
    leaves.push({ kind, start, end: at, depth, path });
  }

  function value(state: PathState, depth: number): void {
    if (depth > MAX_DEPTH) throw new JsonMistake(`JSON nested deeper than ${MAX_DEPTH} levels`);
    blank();
    const start = at;
    switch (text[at]) {
      case '{':
        if (container('}', () => member(state, depth))) leaf('empty', start, depth, state);
        break;
      case '[':
        if (container(']', (index) => value(state.child(index), depth + 1)))
          leaf('empty', start, depth, state);
        break;
      case '"':
        string();
        leaf('string', start, depth, state);
        break;
      default:
        leaf(scalar(), start, depth, state);
    }
    blank();
  }

  function member(state: PathState, depth: number): void {
    blank();
    const start = at;
    string();
    const key = unquote(text, start, at);
    blank();
    if (text[at] !== ':') throw new JsonMistake('not JSON: no colon after a name');
    at++;
    value(state.child(key), depth + 1);
  }

  /** True when it has no members. */
  function container(close: string, item: (index: number) => void): boolean {
    at++;
    blank();
    if (text[at] === close) {
      at++;
      return true;
    }
    for (let index = 0; ; index++) {
      item(index);
      const next = text[at++];
      if (next === close) return false;
      if (next !== ',') throw new JsonMistake('not JSON: no comma between members');
    }
  }

  function scalar(): LeafKind {
    for (const [word, kind] of WORDS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return kind;
      }
    }
    NUMBER.lastIndex = at;
    if (!NUMBER.test(text)) throw new JsonMistake('not JSON');
    at = NUMBER.lastIndex;
    return 'number';
  }

  value(root, 0);
  if (at !== text.length) throw new JsonMistake('not JSON: text after its end');
  return leaves;
}

const WORDS: readonly (readonly [string, LeafKind])[] = [
  ['true', 'boolean'],
  ['false', 'boolean'],
  ['null', 'null'],
];

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

function stringEnd(text: string, start: number): number {
  if (text[start] !== '"') throw new JsonMistake('not JSON: no text where one must be');
  let at = start + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code < 0x20) break;
    if (code === 0x5c) {
      ESCAPE.lastIndex = at;
      if (!ESCAPE.test(text)) break;
      at = ESCAPE.lastIndex;
    } else at++;
  }
  throw new JsonMistake('not JSON: a text without end or with a wrong escape');
}

/** The text that a JSON string between two places stands for. */
export function unquote(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  return inner.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : inner;
}

/** Whether a text is one JSON number. */
export function isJsonNumber(text: string): boolean {
  NUMBER.lastIndex = 0;
  return NUMBER.test(text) && NUMBER.lastIndex === text.length;
}
