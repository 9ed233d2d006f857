import type { ColumnType } from '../anonymize/transformer.js';
import type { Effect } from './effects.js';
import { isInteger } from './types.js';

/** A column that a condition reads, and what happens to it. */
export interface CheckedColumn {
  readonly effect: Effect;
  readonly type: ColumnType;
}

/**
 * True when a CHECK that held for a row certainly holds for its output. The condition is read as AND and OR over
 * atoms; each atom must stay "not false" on its own, which carries over to the whole (there is no NOT to look at).
 *
 * @param definition `CHECK ((price > 0) AND (name IS NOT NULL))`, as `pg_get_constraintdef` prints it.
 */
export function checkStaysTrue(definition: string, columns: ReadonlyMap<string, CheckedColumn>): boolean {
  const condition = /^CHECK \((.*)\)(?: NO INHERIT| NOT VALID| NOT ENFORCED)*$/s.exec(definition)?.[1];
  return condition !== undefined && holds(condition, columns);
}

function holds(condition: string, columns: ReadonlyMap<string, CheckedColumn>): boolean {
  const text = unwrap(condition.trim());
  const parts = splitTop(text);
  if (parts.length > 1) return parts.every((part) => holds(part, columns));
  return atomHolds(text, columns);
}

function atomHolds(atom: string, columns: ReadonlyMap<string, CheckedColumn>): boolean {
  const changed = [...columns].filter(([name, { effect }]) => effect.kind !== 'kept' && mentions(atom, name));
  const [only] = changed;
  if (!only) return true;
  if (changed.length > 1) return false;
  const [name, { effect, type }] = only;
  const operand = atom.startsWith(quoted(name)) ? atom.slice(quoted(name).length).trim() : undefined;
  if (operand === 'IS NOT NULL') return effect.keepsNull;
  if (operand === 'IS NULL') return effect.keepsNull || effect.kind === 'nulled';
  if (operand === undefined || !/^(=|<>|<|<=|>|>=) /.test(operand)) return false;
  // A comparison with NULL is NULL, which a CHECK lets pass.
  if (effect.kind === 'nulled') return true;
  return effect.spec?.name === 'permute' && isInteger(type) && comparesSign(operand);
}

/** `permute` keeps the sign of integers and 0. */
function comparesSign(operand: string): boolean {
  const [, operator = '', literal = ''] =
    /^(=|<>|<|<=|>|>=) \(?'?(-?\d+)'?\)?(?:::[a-z ]+)?$/.exec(operand) ?? [];
  if (literal === '0') return true;
  return (literal === '1' && operator === '>=') || (literal === '-1' && operator === '<=');
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function mentions(text: string, name: string): boolean {
  const word = quoted(name);
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const boundary = /[\p{L}\p{N}_$]/u;
    if (!boundary.test(text[at - 1] ?? ' ') && !boundary.test(text[at + word.length] ?? ' ')) return true;
  }
  return false;
}

/** Takes away parentheses that enclose the whole text. */
function unwrap(text: string): string {
  let inner = text;
  while (inner.startsWith('(') && closingOf(inner) === inner.length - 1) inner = inner.slice(1, -1).trim();
  return inner;
}

function closingOf(text: string): number {
  let found = -1;
  walk(text, (at, depth) => {
    if (depth === 0 && text[at] === ')' && found < 0) found = at;
  });
  return found;
}

/** Splits at AND and OR outside parentheses and quotes. */
function splitTop(text: string): string[] {
  const cuts: [number, number][] = [];
  walk(text, (at, depth) => {
    const word = /^ (AND|OR) /.exec(text.slice(at, at + 5))?.[0];
    if (depth === 0 && word) cuts.push([at, at + word.length]);
  });
  const starts = [0, ...cuts.map(([, end]) => end)];
  return starts.map((start, index) => text.slice(start, cuts[index]?.[0] ?? text.length));
}

/** Visits every character outside quotes with the depth of parentheses after it. */
function walk(text: string, visit: (at: number, depth: number) => void): void {
  let depth = 0;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const letter = text[at] ?? '';
    if (quote !== '') {
      if (letter === quote) quote = '';
      continue;
    }
    if (letter === "'" || letter === '"') quote = letter;
    else {
      if (letter === '(' || letter === '[') depth++;
      if (letter === ')' || letter === ']') depth--;
      visit(at, depth);
    }
  }
}
