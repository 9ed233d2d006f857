/** One token of a condition. `start` and `end` are offsets into its text. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'placeholder' | 'symbol';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export interface Lexed {
  readonly tokens: readonly Token[];
  readonly problem?: { readonly message: string; readonly offset: number };
}

const PATTERNS: readonly (readonly [Token['kind'] | 'blank' | 'refused', RegExp, string?])[] = [
  ['blank', /\s+/y],
  ['refused', /--|\/\*/y, 'comments are not allowed in a condition'],
  [
    'refused',
    /[eE]'|[uU]&['"]/y,
    "strings with escapes (E'…', U&'…') are not allowed; write a plain '…' or chr(n)",
  ],
  ['string', /[bBxXnN]?'(?:[^']|'')*'/y],
  ['refused', /[bBxXnN]?'/y, 'a string is not closed'],
  ['quoted', /"(?:[^"]|"")+"/y],
  ['refused', /"/y, 'a quoted name is not closed, or empty'],
  ['symbol', /::/y],
  ['placeholder', /:[a-zA-Z_][a-zA-Z_0-9]*/y],
  ['word', /[a-zA-Z_\u0080-\uffff][a-zA-Z_0-9$\u0080-\uffff]*/y],
  ['number', /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y],
  ['refused', /\$/y, 'parameters and $$-strings are not allowed; write values as they are'],
  ['refused', /;/y, 'a condition is one expression: no semicolon'],
  ['symbol', /[-+*/<>=~!@#%^&|`?()[\],.:]/y],
];

/**
 * Splits a condition into PostgreSQL's tokens (under `standard_conforming_strings`). Whatever could make server and
 * lexer disagree on where the expression ends is refused: comments, dollar quotes, escapes, semicolons, NUL, parentheses
 * that close more than was opened.
 */
export function lex(text: string): Lexed {
  const tokens: Token[] = [];
  const open: { closes: string; offset: number }[] = [];
  let at = 0;
  const problem = (message: string, offset: number) => ({ tokens, problem: { message, offset } });
  while (at < text.length) {
    const found = nextToken(text, at);
    if (!found) return problem('this character is not allowed in a condition', at);
    const { kind, end, says } = found;
    if (kind === 'refused') return problem(says ?? 'not allowed in a condition', at);
    if (kind !== 'blank') {
      const token = { kind, text: text.slice(at, end), start: at, end };
      const previous = tokens.at(-1);
      if (previous?.kind === 'string' && kind === 'string')
        return problem('two strings follow each other; join them with ||', at);
      if (token.text === '(') open.push({ closes: ')', offset: at });
      else if (token.text === '[') open.push({ closes: ']', offset: at });
      else if ((token.text === ')' || token.text === ']') && open.pop()?.closes !== token.text) {
        return problem('a parenthesis closes more than was opened', at);
      }
      tokens.push(token);
    }
    at = end;
  }
  const left = open.pop();
  return left ? problem('a parenthesis is not closed', left.offset) : { tokens };
}

function nextToken(text: string, at: number) {
  for (const [kind, pattern, says] of PATTERNS) {
    pattern.lastIndex = at;
    if (pattern.test(text)) return { kind, end: pattern.lastIndex, says };
  }
  return undefined;
}
