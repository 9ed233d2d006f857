import { createHash } from 'node:crypto';
import { compileColumn } from '../../../anonymize/compile.js';
import { keyedPrf } from '../../../anonymize/prf.js';
import { getTransformer, parseSpec } from '../../../anonymize/registry.js';
import type {
  Column,
  ColumnType,
  Sealing,
  TransformerSpec,
  TypeKind,
} from '../../../anonymize/transformer.js';

/** A column type with what a test does not care about filled in. */
export function type(kind: TypeKind, given: Partial<ColumnType> = {}): ColumnType {
  const equality = kind === 'numeric' ? 'number' : 'exact';
  return { kind, name: kind, nullable: true, equality, ...given };
}

export const TEXT = type('text');

export function prf(key: string) {
  return keyedPrf(createHash('sha256').update(key).digest());
}

/** Reads a transformer as a job file would hold it; fails with its mistakes. */
export function spec(raw: unknown): TransformerSpec {
  const parsed = parseSpec(raw);
  if ('spec' in parsed) return parsed.spec;
  throw new Error(
    parsed.errors.map((error) => (typeof error === 'string' ? error : JSON.stringify(error))).join('\n'),
  );
}

export interface Outcome {
  readonly out: (string | null)[];
  /** Reasons by row. */
  readonly failed: ReadonlyMap<number, string>;
}

/** Runs a column through a transformer. */
export function run(
  raw: unknown,
  values: Column,
  given: { type?: ColumnType; key?: string; sources?: Record<string, Column>; sealing?: Sealing } = {},
): Outcome {
  const failed = new Map<number, string>();
  const transform = compileColumn(
    spec(raw),
    given.type ?? TEXT,
    prf(given.key ?? 'test key'),
    undefined,
    given.sealing,
  );
  const out = transform(values, {
    size: values.length,
    fail: (row, reason) => failed.set(row, reason),
    source: (column) => given.sources?.[column] ?? values.map((_, row) => String(row)),
  });
  return { out, failed };
}

/** The result of one value. */
export function one(
  raw: unknown,
  value: string | null,
  given: Parameters<typeof run>[2] = {},
): string | null {
  const { out, failed } = run(raw, [value], given);
  if (failed.size > 0) throw new Error(`failed: ${failed.get(0)}`);
  return out[0] ?? null;
}

/** Why a column is refused, or true. */
export function accepts(raw: unknown, given: ColumnType): true | string {
  const { name, options } = spec(raw);
  return getTransformer(name).accepts(given, options);
}

export function proof(raw: unknown, given: ColumnType = TEXT) {
  const { name, options } = spec(raw);
  return getTransformer(name).proof(given, options);
}

/** Values that break what was not thought through. */
export const HOSTILE: readonly (string | null)[] = [
  null,
  '',
  ' ',
  '\\N',
  '\t\n\r\\',
  'NaN',
  'Infinity',
  '-Infinity',
  'infinity',
  'a\u0301\u0308',
  'Ω≈ç√∫˜µ≤≥÷',
  '田中さんにあげて下さい',
  '👩‍👩‍👧‍👦 🇩🇪 𝒜𝔟𝟘',
  '\u202egnirts\u202c',
  'ß ſ ı İ ﬀ',
  '0',
  '-0',
  '00000000000000000000000000000000000001',
  "'; DROP TABLE x; --",
  '{{7*7}} <b>%s %n$1',
];
