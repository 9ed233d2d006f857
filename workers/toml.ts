import { LetheError } from '../errors/errors.js';

/** A table of a TOML file. */
export interface TomlTable {
  [key: string]: string | boolean | number | TomlTable;
}

const KEY = String.raw`(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')`;
const HEADER = new RegExp(String.raw`^\[\s*(${KEY}(?:\s*\.\s*${KEY})*)\s*\]\s*(?:#.*)?$`);
const ENTRY = new RegExp(String.raw`^(${KEY}(?:\s*\.\s*${KEY})*)\s*=\s*(.*)$`);

/**
 * Reads what Temporal's configuration files are made of: tables, dotted keys, strings (also over several lines),
 * booleans and numbers. Arrays, dates and inline tables, which those files do not have, are refused by line.
 */
export function parseToml(text: string, file: string): TomlTable {
  const root: TomlTable = {};
  let table = root;
  const lines = text.split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const line = (lines[i] ?? '').trim();
    if (line === '' || line.startsWith('#')) continue;
    const header = HEADER.exec(line);
    if (header) {
      table = descend(root, keys(header[1] ?? ''));
      continue;
    }
    const entry = ENTRY.exec(line);
    if (!entry) throw unreadable(file, i);
    const path = keys(entry[1] ?? '');
    let raw = entry[2] ?? '';
    const fence = /^("""|''')/.exec(raw)?.[1];
    while (fence && raw.indexOf(fence, 3) < 0 && i + 1 < lines.length) raw += `\n${lines[++i]}`;
    const value = scalar(raw, fence);
    if (value === undefined) throw unreadable(file, i);
    descend(table, path.slice(0, -1))[path.at(-1) ?? ''] = value;
  }
  return root;
}

function keys(text: string): string[] {
  return [...text.matchAll(new RegExp(KEY, 'g'))].map(([key]) => key.replace(/^["']|["']$/g, ''));
}

function descend(from: TomlTable, path: readonly string[]): TomlTable {
  let table = from;
  for (const key of path) {
    const next = Object.hasOwn(table, key) ? table[key] : undefined;
    if (typeof next === 'object') table = next;
    else {
      const made: TomlTable = Object.create(null) as TomlTable;
      table[key] = made;
      table = made;
    }
  }
  return table;
}

function scalar(raw: string, fence: string | undefined): string | boolean | number | undefined {
  if (fence) {
    const end = raw.indexOf(fence, 3);
    if (end < 0) return undefined;
    const body = raw.slice(3, end).replace(/^\n/, '');
    return fence === '"""' ? unescapeText(body) : body;
  }
  const match = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(true|false)|([+-]?\d[\d_]*(?:\.\d+)?))\s*(?:#.*)?$/.exec(
    raw,
  );
  if (!match) return undefined;
  if (match[1] !== undefined) return unescapeText(match[1]);
  if (match[2] !== undefined) return match[2];
  return match[3] !== undefined ? match[3] === 'true' : Number((match[4] ?? '').replaceAll('_', ''));
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\', b: '\b', f: '\f' };

function unescapeText(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/g, (whole, code: string) =>
    code.length > 1 ? String.fromCodePoint(Number.parseInt(code.slice(1), 16)) : (ESCAPES[code] ?? whole),
  );
}

function unreadable(file: string, line: number): LetheError {
  return new LetheError(
    'JobInvalid',
    `${file}:${line + 1} cannot be read: write "key = value" with a text, a number, true or false.`,
  );
}
