import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from 'yaml';
import type { Mistake, Position } from './types.js';

/** Keys and indexes from the top of a document to a place in it. */
export type Path = readonly (string | number)[];

/** How often one anchor may be used: enough for shared column lists, too little for an alias bomb. */
const MAX_ALIASES = 200;

/** A YAML (or JSON) text with the way back from a place in its data to line and column. */
export interface SourceText {
  /** The data as plain values; undefined when the text is no YAML. */
  readonly data: unknown;
  readonly mistakes: readonly Mistake[];
  /** Where the value (or, with `key`, its key) at a path stands; the nearest place above when there is no such path. */
  position(path: Path, at?: 'key' | 'value'): Position;
  /** The text of a scalar as it was typed, `''` for a value left empty; undefined for anything else. */
  typed(path: Path): string | undefined;
}

/** Reads a YAML 1.2 or JSON text; keys must be unique texts. */
export function readSource(text: string, file: string): SourceText {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    merge: true,
    prettyErrors: false,
  });
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const mistakes: Mistake[] = [...document.errors, ...document.warnings].map((error) => ({
    position: positionAt(error.pos[0]),
    message: syntaxMessage(error.code, error.message),
  }));
  let data: unknown;
  if (document.errors.every((error) => error.code === 'DUPLICATE_KEY')) {
    try {
      data = document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch {
      const message = `the aliases of this file unfold too far (more than ${MAX_ALIASES} uses): write the values out`;
      mistakes.push({ position: positionAt(0), message });
    }
  }
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value !== 'number' || !Number.isInteger(node.value) || Number.isSafeInteger(node.value))
        return;
      const message = 'this number is too large to be read exactly: put it in quotes';
      mistakes.push({ position: positionAt(node.range?.[0] ?? 0), message });
    },
  });
  const root = document.contents as Node | null;
  const find = (path: Path) => descend(root, path, (node) => (isAlias(node) ? node.resolve(document) : node));
  return {
    data,
    mistakes,
    position: (path, at = 'value') => {
      const place = find(path);
      const node = at === 'key' ? (place.key ?? place.value) : (place.value ?? place.key);
      return positionAt(node?.range?.[0] ?? root?.range?.[0] ?? 0);
    },
    typed: (path) => {
      const { value, whole } = find(path);
      return whole && isScalar(value) ? (value.source ?? String(value.value)) : undefined;
    },
  };
}

interface Place {
  readonly key?: Node;
  readonly value?: Node;
  /** The path led all the way. */
  readonly whole: boolean;
}

function descend(root: Node | null, path: Path, resolve: (node: Node) => Node | undefined): Place {
  let place: Place = { whole: true, ...(root ? { value: root } : {}) };
  for (const step of path) {
    const node = place.value ? resolve(place.value) : undefined;
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => String(isScalar(item.key) ? item.key.value : item.key) === String(step),
      ) as Pair<Node, Node | null> | undefined;
      if (!pair) return { ...place, whole: false };
      place = { key: pair.key, whole: true, ...(pair.value ? { value: pair.value } : {}) };
    } else if (isSeq(node)) {
      const item = node.items[Number(step)] as Node | undefined;
      if (!item) return { ...place, whole: false };
      place = { value: item, whole: true };
    } else {
      return { ...place, whole: false };
    }
  }
  return place;
}

function syntaxMessage(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key stands here twice: keep one';
  return `the file is no valid YAML: ${message.split('\n')[0]?.replace(/ at line \d+.*$/, '')}`;
}
