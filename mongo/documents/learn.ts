import {
  BSON,
  BsonMistake,
  containerEnd,
  cstringEnd,
  MAX_DEPTH,
  TYPE_NAMES,
  tableType,
  valueEnd,
} from './bson.js';
import { quoted } from './paths.js';
import type { BsonType } from './types.js';
import { readText } from './values.js';

/** What a sample of a collection's documents shows of one field. */
export interface LearnedField {
  /** As a rule writes it. */
  readonly path: string;
  /** Without a path's signs: what it is called where it stands. `''` for keys that are data. */
  readonly name: string;
  /** What the document around it is called; `''` at the top. */
  readonly parent: string;
  /** Values by type; objects and arrays only where they were empty. */
  readonly types: Readonly<Partial<Record<BsonType, number>>>;
}

export interface LearnedCollection {
  /** Documents that the sample had. */
  readonly documents: number;
  /** Of these, documents that could not be read. */
  readonly unreadable: number;
  /** In the order in which they were first seen; fields that documents lie below are not listed themselves. */
  readonly fields: readonly LearnedField[];
  /** Paths (`tiers.*~`) of keys that look like data: no two documents agree on them. */
  readonly dataKeys: readonly string[];
}

interface Node {
  readonly types: Map<BsonType, number>;
  /** How often a document stood here. */
  objects: number;
  readonly children: Map<string, Node>;
  element?: Node;
}

/** So many different names are no schema. */
const MANY_NAMES = 500;
/** With fewer, names that occur once each may be optional fields. */
const FEW_NAMES = 8;

/** Learns fields and their types from raw documents. Memory grows with the fields, not with the documents. */
export class FieldLearner {
  private readonly root = node();
  private documents = 0;
  private unreadable = 0;

  add(document: Uint8Array): void {
    const bytes = Buffer.from(document.buffer, document.byteOffset, document.length);
    this.documents++;
    try {
      if (containerEnd(bytes, 0, bytes.length) !== bytes.length) throw new BsonMistake('not BSON');
      this.walk(bytes, 0, bytes.length, this.root, false, 0);
    } catch (error) {
      if (!(error instanceof BsonMistake)) throw error;
      this.unreadable++;
    }
  }

  result(): LearnedCollection {
    const fields: LearnedField[] = [];
    const dataKeys: string[] = [];
    list(this.root, '', '', '', fields, dataKeys);
    return { documents: this.documents, unreadable: this.unreadable, fields, dataKeys };
  }

  private walk(bytes: Buffer, start: number, end: number, at: Node, array: boolean, depth: number): void {
    if (depth > MAX_DEPTH) throw new BsonMistake('nested too deep');
    const limit = end - 1;
    if (!array) at.objects++;
    let empty = true;
    for (let next = start + 4; next < limit; empty = false) {
      const type = bytes[next]!;
      const nameEnd = cstringEnd(bytes, next + 1, limit);
      const value = nameEnd + 1;
      const valueStop = valueEnd(bytes, type, value, limit);
      const child = array ? elementOf(at) : member(at, readText(bytes, next + 1, nameEnd));
      if (type === BSON.object || type === BSON.array) {
        this.walk(bytes, value, valueStop, child, type === BSON.array, depth + 1);
      } else count(child, TYPE_NAMES.get(tableType(bytes, type, value))!);
      next = valueStop;
    }
    if (empty && depth > 0) count(at, array ? 'array' : 'object');
  }
}

/** Learns the fields of a sample. */
export function learnFields(documents: Iterable<Uint8Array>): LearnedCollection {
  const learner = new FieldLearner();
  for (const document of documents) learner.add(document);
  return learner.result();
}

function node(): Node {
  return { types: new Map(), objects: 0, children: new Map() };
}

function elementOf(at: Node): Node {
  at.element ??= node();
  return at.element;
}

function count(at: Node, type: BsonType): void {
  at.types.set(type, (at.types.get(type) ?? 0) + 1);
}

function member(at: Node, name: string): Node {
  const known = at.children.get(name);
  if (known) return known;
  const fresh = node();
  at.children.set(name, fresh);
  if (at.children.size > MANY_NAMES) merge(at);
  return fresh;
}

/** One node in the place of all children: `*`. */
function merge(at: Node): Node {
  const all = node();
  for (const child of at.children.values()) absorb(all, child);
  at.children.clear();
  at.children.set(ANY, all);
  return all;
}

/** No field has this name, since names end at a zero. */
const ANY = '\0';

function absorb(into: Node, from: Node): void {
  for (const [type, n] of from.types) into.types.set(type, (into.types.get(type) ?? 0) + n);
  into.objects += from.objects;
  for (const [name, child] of from.children) absorb(member(into, name), child);
  if (from.element) absorb(elementOf(into), from.element);
}

function list(
  at: Node,
  path: string,
  name: string,
  parent: string,
  fields: LearnedField[],
  dataKeys: string[],
): void {
  if (at.types.size > 0) fields.push({ path, name, parent, types: Object.fromEntries(at.types) });
  if (at.element) list(at.element, `${path}[]`, name, parent, fields, dataKeys);
  if (at.children.has(ANY) || isMap(at)) {
    const all = merge(at);
    const any = path === '' ? '*' : `${path}.*`;
    dataKeys.push(`${any}~`);
    list(all, any, '', name, fields, dataKeys);
    return;
  }
  for (const [key, child] of at.children) {
    list(child, path === '' ? quoted(key) : `${path}.${quoted(key)}`, key, name, fields, dataKeys);
  }
}

/** Names of a document that hardly ever come again, or that look like ids. */
function isMap({ children, objects }: Node): boolean {
  const names = [...children.keys()];
  const ids = names.filter((name) => /^(?:\d+|[0-9a-f]{16,}|[0-9a-f-]{36}|.*@.*)$/i.test(name)).length;
  if (names.length > 1 && ids > names.length / 2) return true;
  const uses = [...children.values()].reduce((sum, child) => sum + occurrences(child), 0);
  return (
    names.length >= FEW_NAMES &&
    objects >= FEW_NAMES &&
    uses < 2 * names.length &&
    uses < (objects * names.length) / 4
  );
}

function occurrences({ types, objects, element }: Node): number {
  return Math.max(
    objects,
    [...types.values()].reduce((sum, n) => sum + n, 0),
    element ? 1 : 0,
  );
}
