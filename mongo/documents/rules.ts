import { parseSpec } from '../../anonymize/registry.js';
import type { TransformerSpec } from '../../anonymize/transformer.js';
import { BSON_TYPES } from './columnTypes.js';
import { parseFieldPath, plainNames } from './paths.js';
import type { BsonType, DerivedField, FieldRule, FieldSpec } from './types.js';

/** Names that stand where a transformer would, and that only fields know. */
const FIELD_ONLY: readonly string[] = ['drop', 'block'];

/** What a job file says about the fields of a collection, read; or all its mistakes. */
export type ParsedFields =
  | { readonly fields: readonly FieldRule[]; readonly derive: readonly DerivedField[] }
  | { readonly errors: readonly FieldMistake[] };

export interface FieldMistake {
  /** The key in `fields` or `derive`. */
  readonly field: string;
  readonly message: string;
}

/**
 * Reads `fields: { email: email, 'orders[].note': drop, phone: { types: { string: phone, int: permute } } }` and
 * `derive: { dataHash: { from: sensitiveData, apply: hash } }`. `types` takes BSON types by the names of `$type`, `else`
 * for all others (default `block`), and `special` stands beside it or beside `apply`.
 *
 * @param rule Name that counts go by. Default `fields`.
 */
export function parseFields(
  fields: Readonly<Record<string, unknown>>,
  derive: Readonly<Record<string, unknown>> = {},
  rule = 'fields',
): ParsedFields {
  const errors: FieldMistake[] = [];
  const read: FieldRule[] = [];
  const derived: DerivedField[] = [];
  for (const [path, raw] of Object.entries(fields)) {
    const parsed = parseField(path, raw, rule);
    if (Array.isArray(parsed)) errors.push(...parsed.map((message) => ({ field: path, message })));
    else read.push(parsed as FieldRule);
  }
  for (const [name, raw] of Object.entries(derive)) {
    const parsed = parseDerived(name, raw, rule);
    if (Array.isArray(parsed)) errors.push(...parsed.map((message) => ({ field: name, message })));
    else derived.push(parsed as DerivedField);
  }
  return errors.length > 0 ? { errors } : { fields: read, derive: derived };
}

/** A transformer, `drop` or `block`. */
export function parseFieldSpec(raw: unknown): { readonly spec: FieldSpec } | { readonly errors: string[] } {
  if (typeof raw === 'string' && FIELD_ONLY.includes(raw)) return { spec: { name: raw, options: {} } };
  return parseSpec(raw);
}

function parseField(path: string, raw: unknown, rule: string): FieldRule | string[] {
  const parsedPath = parseFieldPath(path);
  const errors = typeof parsedPath === 'string' ? [`as a path ${parsedPath}`] : [];
  if (!isMap(raw) || !('types' in raw || 'apply' in raw || 'special' in raw)) {
    const parsed = parseFieldSpec(raw);
    if ('errors' in parsed) return [...errors, ...parsed.errors];
    return errors.length > 0 ? errors : { rule, path, apply: parsed.spec };
  }
  const { types, apply, special, domain, ...unknown } = raw;
  for (const key of Object.keys(unknown)) errors.push(`it has no setting "${key}"`);
  if (special !== undefined && special !== 'refuse' && special !== 'keep')
    errors.push('special: refuse or keep');
  if (domain !== undefined && typeof domain !== 'string') errors.push('domain is a name');
  if (types !== undefined && !isMap(types)) errors.push('types is a map of BSON types to transformers');
  const { else: rest = apply ?? 'block', ...byName } = isMap(types) ? types : {};
  const byType: Partial<Record<BsonType, TransformerSpec>> = {};
  for (const [type, spec] of Object.entries(byName)) {
    const parsed = parseFieldSpec(spec);
    if (!BSON_TYPES.includes(type as BsonType))
      errors.push(`types: there is no BSON type ${type}: ${BSON_TYPES.join(', ')}`);
    else if ('errors' in parsed) errors.push(...parsed.errors.map((message) => `types ${type}: ${message}`));
    else byType[type as BsonType] = parsed.spec;
  }
  const parsed = parseFieldSpec(rest);
  if ('errors' in parsed) return [...errors, ...parsed.errors];
  if (errors.length > 0) return errors;
  return {
    rule,
    path,
    apply: parsed.spec,
    ...(types === undefined ? {} : { types: byType }),
    ...(special === undefined ? {} : { special: special as 'refuse' | 'keep' }),
    ...(domain === undefined ? {} : { domain: domain as string }),
  };
}

function parseDerived(name: string, raw: unknown, rule: string): DerivedField | string[] {
  if (!isMap(raw)) return ['write { from: a field, apply: a transformer }'];
  const { from, apply, domain, ...unknown } = raw;
  const errors = Object.keys(unknown).map((key) => `it has no setting "${key}"`);
  const path = typeof from === 'string' ? parseFieldPath(from) : 'it is missing';
  if (typeof path === 'string') errors.push(`from: ${path}`);
  else if (!plainNames(path)) errors.push('from: a path of names alone');
  if (name === '' || name.startsWith('$') || name.includes('\0') || name.includes('.')) {
    errors.push('the name of a new field holds no dot and does not start with $');
  }
  const parsed = parseSpec(apply);
  if ('errors' in parsed) return [...errors, ...parsed.errors.map((message) => `apply: ${message}`)];
  if (errors.length > 0) return errors;
  return {
    rule,
    name,
    from: from as string,
    apply: parsed.spec,
    ...(typeof domain === 'string' ? { domain } : {}),
  };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
