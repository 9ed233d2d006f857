import { parseSpec } from '../anonymize/registry.js';
import type { TransformerSpec } from '../anonymize/transformer.js';
import type { Path, SourceText } from './source.js';
import type { Apply, Rule } from './types.js';

/** Where mistakes go while a file is read. */
export interface Reading {
  readonly source: SourceText;
  /** Notes a mistake at a place of the file; `at` says whether the key or the value is meant. */
  mistake(path: Path, message: string, at?: 'key' | 'value'): void;
}

/** A rule as it was written; its shape may still be wrong. */
export interface RawRule {
  readonly name?: unknown;
  readonly match?: { readonly table?: unknown; readonly column?: unknown; readonly type?: unknown };
  readonly when?: unknown;
  readonly apply?: unknown;
  readonly otherwise?: unknown;
}

/** A plain object of the file. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One transformer. A value left empty is no decision: `null` has to be written. */
export function readSpec(raw: unknown, path: Path, reading: Reading): TransformerSpec | undefined {
  if (raw === null && reading.source.typed(path) === '') {
    reading.mistake(
      path,
      'nothing is decided here: write a transformer, keep, or null to empty the column',
      'key',
    );
    return undefined;
  }
  const parsed = parseSpec(raw);
  if ('spec' in parsed) return parsed.spec;
  for (const error of parsed.errors) reading.mistake(...specPlace(raw, path, error));
  return undefined;
}

/**
 * Where a mistake of a transformer stands: at its name, or at the option that the message names. A path that leads
 * nowhere gives the nearest place above.
 */
function specPlace(raw: unknown, path: Path, message: string): [Path, string, 'key' | 'value'] {
  if (!isRecord(raw)) return [path, message, 'value'];
  const inside = [...path, ...Object.keys(raw).slice(0, 1)];
  const option = /has no option "([^"]*)"/.exec(message)?.[1];
  if (option !== undefined) return [[...inside, option], message, 'key'];
  const where = /^\S+ ([^\s:]+): /.exec(message)?.[1];
  return where === undefined
    ? [inside, message, 'key']
    : [[...inside, ...where.split('.')], message, 'value'];
}

/**
 * One transformer for all matching columns, or one a column: a map means columns where the rule's match names neither
 * column nor type, else it is a transformer with options.
 */
function readApply(raw: unknown, byColumn: boolean, path: Path, reading: Reading): Apply | undefined {
  if (!byColumn || !isRecord(raw)) {
    const spec = readSpec(raw, path, reading);
    return spec && { kind: 'all', spec };
  }
  const columns: Record<string, TransformerSpec> = {};
  for (const [column, value] of Object.entries(raw)) {
    const spec = readSpec(value, [...path, column], reading);
    if (spec) columns[column] = spec;
  }
  if (Object.keys(raw).length === 0) reading.mistake(path, 'no column stands here', 'key');
  return { kind: 'columns', columns };
}

/** Reads the rules in file order; `names` are those of all rules, to find doubles. */
export function readRules(raw: unknown, reading: Reading): Rule[] {
  if (!Array.isArray(raw)) return [];
  const seen = new Map<string, number>();
  return raw.flatMap((item: unknown, index) => {
    if (!isRecord(item)) return [];
    const rule = readRule(item as RawRule, index, reading);
    const name = (item as RawRule).name;
    if (typeof name === 'string') {
      const first = seen.get(name);
      if (first === undefined) seen.set(name, index);
      else {
        const line = reading.source.position(['rules', first, 'name']).line;
        reading.mistake(
          ['rules', index, 'name'],
          `rule "${name}" stands in line ${line} already: the ledger counts by name, choose another`,
        );
      }
    }
    return rule ? [rule] : [];
  });
}

function readRule(raw: RawRule, index: number, reading: Reading): Rule | undefined {
  const path: Path = ['rules', index];
  const match = isRecord(raw.match) ? raw.match : {};
  if (isRecord(raw.match) && match.table === undefined && match.column === undefined) {
    reading.mistake([...path, 'match'], 'match names neither table nor column: give one, "*" for any', 'key');
  }
  const byColumn = match.column === undefined && match.type === undefined;
  if (raw.apply === undefined) return undefined;
  const apply = readApply(raw.apply, byColumn, [...path, 'apply'], reading);
  const otherwise = readOtherwise(raw, byColumn, path, reading);
  if (!apply || typeof raw.name !== 'string') return undefined;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const [table, column, type, when] = [
    text(match.table),
    text(match.column),
    text(match.type),
    text(raw.when),
  ];
  return {
    name: raw.name,
    match: { ...(table && { table }), ...(column && { column }), ...(type && { type }) },
    ...(when && { when }),
    apply,
    ...(otherwise && { otherwise }),
    position: reading.source.position(path),
  };
}

function readOtherwise(raw: RawRule, byColumn: boolean, rule: Path, reading: Reading): Apply | undefined {
  if (raw.otherwise === undefined) return undefined;
  const path = [...rule, 'otherwise'];
  if (raw.when === undefined) {
    reading.mistake(path, 'otherwise needs a `when`: without one, apply decides every row', 'key');
  }
  const otherwise = readApply(raw.otherwise, byColumn, path, reading);
  if (!isRecord(raw.otherwise) || !byColumn) return otherwise;
  if (!isRecord(raw.apply)) {
    reading.mistake(
      path,
      'apply is for every matching column, so otherwise must be one transformer too',
      'key',
    );
    return otherwise;
  }
  const wanted = Object.keys(raw.apply);
  const given = Object.keys(raw.otherwise);
  for (const column of given.filter((name) => !wanted.includes(name))) {
    reading.mistake(
      [...path, column],
      `apply has no column "${column}": otherwise covers exactly the columns of apply`,
      'key',
    );
  }
  const missing = wanted.filter((name) => !given.includes(name));
  if (missing.length > 0) {
    reading.mistake(
      path,
      `otherwise leaves out ${missing.join(', ')}: it covers exactly the columns of apply`,
      'key',
    );
  }
  return otherwise;
}
