import { isMap, isScalar, parseDocument, type Scalar, type YAMLMap } from 'yaml';

/** A domain as a plan found it. */
export interface NamedDomain {
  readonly name: string;
  /** `schema.table.column`. */
  readonly members: readonly string[];
  /** What its values may be, for a comment. */
  readonly range: string;
}

/**
 * Writes domains into the text of a job file, so that their names, which their keys depend on, survive changes of the
 * schema. Domains that the file names already keep their place and get their members anew; everything else, comments
 * included, stays as it is.
 */
export function writeDomains(text: string, domains: readonly NamedDomain[]): string {
  const document = parseDocument(text);
  if (!isMap(document.get('domains'))) document.set('domains', document.createNode({}));
  const map = document.get('domains') as YAMLMap;
  map.flow = false;
  for (const { name, members, range } of domains) {
    const list = document.createNode([...members]);
    list.flow = true;
    map.set(name, list);
    const pair = map.items.find(({ key }) => isScalar(key) && key.value === name);
    if (pair) (pair.value as { comment?: string }).comment = ` ${range}`;
  }
  for (const { key } of map.items) if (isScalar(key)) (key as Scalar).spaceBefore = false;
  return document.toString({ lineWidth: 0 });
}
