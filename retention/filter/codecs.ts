import { LetheError } from '../../errors/errors.js';
import { parsePath, type Step } from '../../json/path.js';
import { type DocumentLeaf, sealLeaves } from '../token/fields.js';
import { revealJson, sealJson } from '../token/json.js';
import { sealMatchesAll } from '../token/matches.js';
import type { Revealer } from '../token/revealer.js';
import type { SealAllOptions, Sealer } from '../token/sealer.js';
import { type RevealTextOptions, revealTexts } from '../token/text.js';
import { type CsvField, csvField, csvFields, csvRecords } from './csv.js';
import { type FilterSettings, jsonPath, readPattern } from './settings.js';

export type Fail = (index: number, error: LetheError) => void;

/** How records of one format are cut, looked into, sealed and revealed. Null in is null out; what is refused is null. */
export interface Codec {
  /** The records of whole lines, with their line breaks. */
  split(text: string): string[];
  /** A field's value, for dates and choices; undefined where there is none. Throws where the record cannot be read. */
  value(record: string, field: string): unknown;
  seal(sealer: Sealer, records: readonly string[], options: SealAllOptions): (string | null)[];
  reveal(
    revealer: Revealer,
    records: readonly (string | null)[],
    options: RevealTextOptions,
    fail: Fail,
  ): (string | null)[];
}

/** @param columns Names of CSV columns. */
export function createCodec(settings: FilterSettings, columns: readonly string[]): Codec {
  if (settings.format === 'csv') return csvCodec(settings, columns);
  return settings.format === 'text' ? textCodec(settings) : jsonCodec(settings);
}

function lines(text: string): string[] {
  const found: string[] = [];
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline + 1;
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
}

/** One pass a pattern, or one without. */
function passes({ patterns }: FilterSettings) {
  return patterns.length === 0 ? [undefined] : patterns.map(readPattern);
}

function jsonCodec(settings: FilterSettings): Codec {
  const paths = settings.fields.map(jsonPath);
  const rules = passes(settings).map((pattern) =>
    paths.map((path) => ({ path, ...(pattern && { pattern }) })),
  );
  const steps = new Map<string, readonly Step[]>();
  return {
    split: lines,
    value(record, field) {
      if (!steps.has(field)) steps.set(field, plainPath(field));
      return follow(parseJson(record), steps.get(field)!);
    },
    seal(sealer, records, options) {
      let out: readonly (string | null)[] = records;
      for (const fields of rules) out = sealJson(sealer, out, fields, options);
      return [...out];
    },
    reveal: (revealer, records, options, fail) =>
      revealJson(revealer, records, { ...options, ...(paths.length > 0 && { paths }) }, fail),
  };
}

function parseJson(record: string): unknown {
  try {
    return JSON.parse(record);
  } catch {
    // The parser's own message holds a part of the record.
    throw new LetheError('SealRefused', 'A document cannot be read: not JSON.');
  }
}

function plainPath(field: string): readonly Step[] {
  const steps = parsePath(jsonPath(field));
  if (typeof steps === 'string') throw new LetheError('RetentionInvalid', `Field ${field}: ${steps}.`);
  if (steps.some(({ deep, key }) => deep || key === null))
    throw new LetheError('RetentionInvalid', `Field ${field}: a date or choice is read from one place.`);
  return steps;
}

function follow(document: unknown, steps: readonly Step[]): unknown {
  let value = document;
  for (const { key } of steps) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key!)) return undefined;
    value = (value as Record<string | number, unknown>)[key!];
  }
  return value;
}

function textCodec(settings: FilterSettings): Codec {
  const patterns = settings.patterns.map(readPattern);
  return {
    split: lines,
    value: () => undefined,
    seal(sealer, records, options) {
      const ends = records.map(lineEnd);
      let texts: readonly (string | null)[] = records.map((record, i) => record.slice(0, ends[i]));
      for (const pattern of patterns) texts = sealMatchesAll(sealer, texts, pattern, options).texts;
      return texts.map((text, i) => (text === null ? null : text + records[i]!.slice(ends[i])));
    },
    reveal: (revealer, records, options) =>
      // A token cannot reach over a line break, and a line that is one token becomes an empty one.
      revealTexts(revealer, records, options),
  };
}

/** Where a line's break begins. */
function lineEnd(record: string): number {
  if (!record.endsWith('\n')) return record.length;
  return record.length - (record.endsWith('\r\n') ? 2 : 1);
}

function csvCodec(settings: FilterSettings, columns: readonly string[]): Codec {
  const { delimiter } = settings;
  const position = (field: string) => {
    const index = settings.header ? columns.indexOf(field) : Number(field) - 1;
    if (Number.isInteger(index) && index >= 0) return index;
    throw new LetheError(
      'RetentionInvalid',
      settings.header
        ? `The first record names no column ${field}. Without such a record give --no-header, and numbers from 1 on.`
        : `Without a header a column is a number from 1 on, not ${field}.`,
    );
  };
  const wanted = settings.fields.map(position);
  const rules = passes(settings).map((pattern) =>
    settings.fields.map((path) => ({ path, ...(pattern && { pattern }) })),
  );
  return {
    split: csvRecords,
    value: (record, field) => csvFields(record, delimiter)[position(field)]?.value,
    seal(sealer, records, options) {
      const refused = new Set<number>();
      const all = readAll(records, delimiter, (i, error) => {
        if (!options.fail) throw error;
        refused.add(i);
        options.fail(i, error);
      });
      // An empty field is what CSV has for nothing.
      const own = all.map((fields) =>
        wanted.flatMap((index, rule) => (fields[index]?.value ? [{ rule, field: fields[index] }] : [])),
      );
      const values = own.map((list) => list.map(({ field }) => field.value));
      for (const fields of rules) {
        const leaves = own.map((list, i) =>
          list.map(({ rule }, j): DocumentLeaf => ({ rule, isString: true, value: values[i]![j]! })),
        );
        const fail: Fail | undefined =
          options.fail &&
          ((i, error) => {
            if (!refused.has(i)) options.fail!(i, error);
            refused.add(i);
          });
        for (const [i, tokens] of sealLeaves(sealer, leaves, fields, { ...options, fail }).entries())
          for (const [j, token] of (tokens ?? []).entries())
            if (token !== undefined) values[i]![j] = token ?? '';
      }
      return records.map((record, i) =>
        refused.has(i)
          ? null
          : splice(
              record,
              own[i]!.map(({ field }, j) => ({ field, value: values[i]![j]! })),
              delimiter,
            ),
      );
    },
    reveal(revealer, records, options, fail) {
      const refused = new Set<number>();
      const all = readAll(records, delimiter, (i, error) => {
        refused.add(i);
        fail(i, error);
      });
      const own = all.map((fields) =>
        (wanted.length > 0 ? wanted.flatMap((index) => fields[index] ?? []) : fields).filter(({ value }) =>
          value.includes('1.'),
        ),
      );
      const revealed = revealTexts(
        revealer,
        own.flatMap((list) => list.map(({ value }) => value)),
        options,
      );
      let next = 0;
      return records.map((record, i) => {
        const parts = own[i]!.map((field) => ({ field, value: revealed[next++] ?? '' }));
        return record === null || refused.has(i) ? null : splice(record, parts, delimiter);
      });
    },
  };
}

function readAll(records: readonly (string | null)[], delimiter: string, fail: Fail): readonly CsvField[][] {
  return records.map((record, i) => {
    try {
      return record === null || lineEnd(record) === 0 ? [] : csvFields(record, delimiter);
    } catch (error) {
      if (!(error instanceof LetheError)) throw error;
      fail(i, error);
      return [];
    }
  });
}

function splice(
  record: string,
  parts: readonly { readonly field: CsvField; readonly value: string }[],
  delimiter: string,
): string {
  let out = '';
  let at = 0;
  for (const { field, value } of [...parts].sort((a, b) => a.field.start - b.field.start)) {
    if (value === field.value || field.start < at) continue;
    out += record.slice(at, field.start) + csvField(value, delimiter, record[field.start] === '"');
    at = field.end;
  }
  return out + record.slice(at);
}
