import type { TransformerSpec } from '../anonymize/transformer.js';
import { isRecord, type Reading, readSpec } from './rules.js';
import type { Path } from './source.js';
import type { DerivedRule, FieldRule, JobCollection } from './types.js';

/** Names of BSON types as `$type` has them; `uuid` is a Binary of subtype 4. */
const BSON_TYPES: readonly string[] = [
  'double',
  'string',
  'object',
  'array',
  'binData',
  'uuid',
  'undefined',
  'objectId',
  'bool',
  'date',
  'null',
  'regex',
  'dbPointer',
  'javascript',
  'symbol',
  'javascriptWithScope',
  'int',
  'timestamp',
  'long',
  'decimal',
  'minKey',
  'maxKey',
];

/** Reads `collections:`; its shape may still be wrong in places, which was reported. */
export function readCollections(raw: unknown, reading: Reading): Record<string, JobCollection> {
  const collections: Record<string, JobCollection> = {};
  for (const [name, value] of Object.entries(isRecord(raw) ? raw : {})) {
    const path: Path = ['collections', name];
    if (!/^[^.]+\../.test(name)) {
      reading.mistake(path, `"${name}" does not name its database: write e.g. shop.${name}`, 'key');
    }
    if (!isRecord(value)) continue;
    collections[name] = {
      ...(isRecord(value.where) && { where: value.where }),
      ...(typeof value.skip === 'boolean' && { skip: value.skip }),
      ...(typeof value.rename === 'string' && { rename: value.rename }),
      ...(value.unlisted !== undefined && { unlisted: readUnlisted(value.unlisted) }),
      ...(Array.isArray(value.accept) && { accept: value.accept.map(String) }),
      ...(typeof value.pushdown === 'boolean' && { pushdown: value.pushdown }),
      ...(typeof value.allowKeyOnServer === 'boolean' && { allowKeyOnServer: value.allowKeyOnServer }),
      fields: readFields(value.fields, path, reading),
      derive: readDerived(value.derive, path, reading),
      position: reading.source.position(path, 'key'),
    };
  }
  return collections;
}

function readUnlisted(raw: unknown): 'block' | 'keep' | 'null' {
  return raw === 'keep' || raw === 'block' ? raw : 'null';
}

function readFields(raw: unknown, collection: Path, reading: Reading): Record<string, FieldRule> {
  const fields: Record<string, FieldRule> = {};
  for (const [name, value] of Object.entries(isRecord(raw) ? raw : {})) {
    const rule = readField(value, [...collection, 'fields', name], reading);
    if (rule) fields[name] = rule;
  }
  return fields;
}

function readField(raw: unknown, path: Path, reading: Reading): FieldRule | undefined {
  const position = reading.source.position(path, 'key');
  if (!isRecord(raw) || !('types' in raw || 'apply' in raw || 'special' in raw)) {
    const spec = readFieldSpec(raw, path, reading);
    return spec && { spec, position };
  }
  const { else: otherwise = raw.apply ?? 'block', ...byName } = isRecord(raw.types) ? raw.types : {};
  const types: Record<string, TransformerSpec> = {};
  for (const [type, value] of Object.entries(byName)) {
    const place = [...path, 'types', type];
    if (!BSON_TYPES.includes(type)) {
      reading.mistake(
        place,
        `"${type}" is no BSON type: write one of ${BSON_TYPES.join(', ')}, or else`,
        'key',
      );
    }
    const spec = readFieldSpec(value, place, reading);
    if (spec) types[type] = spec;
  }
  const spec = readFieldSpec(otherwise, path, reading);
  return (
    spec && {
      spec,
      ...(raw.types !== undefined && { types }),
      ...((raw.special === 'keep' || raw.special === 'refuse') && { special: raw.special }),
      position,
    }
  );
}

/** A transformer, or one of the two names that only fields know. */
function readFieldSpec(raw: unknown, path: Path, reading: Reading): TransformerSpec | undefined {
  return raw === 'drop' || raw === 'block' ? { name: raw, options: {} } : readSpec(raw, path, reading);
}

function readDerived(raw: unknown, collection: Path, reading: Reading): Record<string, DerivedRule> {
  const derived: Record<string, DerivedRule> = {};
  for (const [name, value] of Object.entries(isRecord(raw) ? raw : {})) {
    if (!isRecord(value) || typeof value.from !== 'string') continue;
    const path = [...collection, 'derive', name];
    const spec = readSpec(value.apply, [...path, 'apply'], reading);
    if (spec) derived[name] = { from: value.from, spec, position: reading.source.position(path, 'key') };
  }
  return derived;
}
