/** A node of PostgreSQL's parse tree: its tag (`OPEXPR`), and its fields as nodes, atoms or lists. */
export interface ParseNode {
  readonly tag: string;
  readonly fields: Readonly<Record<string, ParseValue>>;
}
export type ParseValue = string | ParseNode | readonly ParseValue[];

/** Reads the text form that the server prints (`nodeToString`): `{TAG :field value …}`, `(a b)`, `<>`, atoms with `\` escapes. */
export function parseNodeTree(text: string): ParseValue {
  const tokens = text.match(/[{}()]|(?:\\[\s\S]|[^\s{}()\\])+/g) ?? [];
  let at = 0;
  const value = (): ParseValue => {
    const token = tokens[at++];
    if (token === undefined) throw new SyntaxError('a parse tree ends early');
    if (token === '(') {
      const list: ParseValue[] = [];
      while (at < tokens.length && tokens[at] !== ')') list.push(value());
      at += 1;
      return list;
    }
    return token === '{' ? node() : token;
  };
  const node = (): ParseNode => {
    const tag = tokens[at++] ?? '';
    const fields: Record<string, ParseValue> = {};
    let field = '';
    while (at < tokens.length && tokens[at] !== '}') {
      if (tokens[at]?.startsWith(':')) {
        field = tokens[at++]!.slice(1);
        continue;
      }
      // A field of several atoms (`constvalue 4 [ 1 0 0 0 ]`) keeps the first, nodes are never more than one.
      const next = value();
      fields[field] ??= next;
    }
    at += 1;
    return { tag, fields };
  };
  return value();
}

export function isNode(value: ParseValue | undefined): value is ParseNode {
  return typeof value === 'object' && !Array.isArray(value);
}

/** The node and everything below it, in order. */
export function* walk(value: ParseValue | undefined): Generator<ParseNode> {
  if (value === undefined || typeof value === 'string') return;
  if (isNode(value)) {
    yield value;
    for (const child of Object.values(value.fields)) yield* walk(child);
  } else {
    for (const child of value) yield* walk(child);
  }
}
