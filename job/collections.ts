import { isRecord, type Reading, readSpec } from './rules.js';
import type { Path } from './source.js';
import type { FieldRule, JobCollection } from './types.js';

/** Names of BSON types as `$type` has them, and `default`. */
export const BSON_TYPES: readonly string[] = [
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
  'default',
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
  if (raw === 'drop') return { kind: 'drop', position };
  if (isRecord(raw) && isRecord(raw.byType)) {
    const types: Record<string, NonNullable<ReturnType<typeof readSpec>>> = {};
    for (const [type, value] of Object.entries(raw.byType)) {
      if (!BSON_TYPES.includes(type)) {
        reading.mistake(
          [...path, 'byType', type],
          `"${type}" is no BSON type: write one of ${BSON_TYPES.join(', ')}`,
          'key',
        );
      }
      const spec = readSpec(value, [...path, 'byType', type], reading);
      if (spec) types[type] = spec;
    }
    return { kind: 'byType', types, position };
  }
  if (isRecord(raw) && typeof raw.from === 'string') {
    const spec = readSpec(raw.apply, [...path, 'apply'], reading);
    return spec && { kind: 'derive', from: raw.from, spec, position };
  }
  const spec = readSpec(raw, path, reading);
  return spec && { kind: 'apply', spec, position };
}
