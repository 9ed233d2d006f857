import { isMap, isScalar, parseDocument, stringify } from 'yaml';

/** A domain as a plan found it. */
export interface NamedDomain {
  readonly name: string;
  /** `schema.table.column`. */
  readonly members: readonly string[];
  /** What its values may be, for a comment. */
  readonly range: string;
}

/**
 * Writes domains into the text of a YAML job file, so that their names, which their keys depend on, survive changes of
 * the schema. The `domains` block is written anew (domains that are not given stay in it), or added at the end; all
 * other text stays as it is.
 */
export function writeDomains(text: string, domains: readonly NamedDomain[]): string {
  const document = parseDocument(text);
  const root = document.contents;
  const pair = isMap(root)
    ? root.items.find(({ key }) => isScalar(key) && key.value === 'domains')
    : undefined;
  const before = (document.toJS() as { domains?: Record<string, string[]> }).domains ?? {};
  const given = new Set(domains.map(({ name }) => name));
  const others = Object.entries(before).filter(([name]) => !given.has(name));
  const lines = [
    'domains:',
    ...others.map(([name, members]) => line(name, members)),
    ...domains.map(({ name, members, range }) => `${line(name, members)} # ${range}`),
  ];
  const block = `${lines.join('\n')}\n`;
  const from = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  if (from === undefined) return `${text.trimEnd()}\n${block}`;
  const value = pair?.value as { range?: readonly [number, number, number] } | null;
  const to = value?.range?.[2] ?? text.length;
  return text.slice(0, from) + block + text.slice(to).replace(/^\n/, '');
}

function line(name: string, members: readonly string[]): string {
  const flow = { collectionStyle: 'flow', lineWidth: 0 } as const;
  return `  ${stringify({ [name]: members }, flow)
    .trim()
    .slice(1, -1)
    .trim()}`;
}
