import type { ColumnType, TypeKind } from '../../anonymize/transformer.js';
import type { BsonType } from './types.js';

const KINDS: Readonly<Record<BsonType, TypeKind>> = {
  double: 'float',
  string: 'text',
  symbol: 'text',
  object: 'other',
  array: 'other',
  binData: 'bytea',
  uuid: 'uuid',
  undefined: 'other',
  objectId: 'objectId',
  bool: 'bool',
  date: 'timestamptz',
  null: 'other',
  regex: 'other',
  dbPointer: 'other',
  javascript: 'other',
  javascriptWithScope: 'other',
  int: 'int4',
  timestamp: 'other',
  long: 'int8',
  decimal: 'numeric',
  minKey: 'other',
  maxKey: 'other',
};

/**
 * What a transformer sees of a BSON type. Values are text in one form: numbers in decimal, ObjectId as 24 and UUID as
 * 36 characters, Date as `2024-02-29T12:00:00.000Z`, Binary as `\x…`, Bool as true and false. `other` is only kept,
 * emptied, dropped or refused.
 */
export function columnTypeOf(type: BsonType): ColumnType {
  const kind = KINDS[type];
  // MongoDB holds 1.0, NumberDecimal("1.00") and NumberInt(1) equal.
  const equality = type === 'decimal' || type === 'double' ? 'number' : 'exact';
  return { kind, name: type, nullable: true, equality };
}

/** Types that hold a value of their own which a transformer can read. */
export const VALUE_TYPES: readonly BsonType[] = (Object.keys(KINDS) as BsonType[]).filter(
  (type) => KINDS[type] !== 'other',
);

/** Every BSON type. */
export const BSON_TYPES: readonly BsonType[] = Object.keys(KINDS) as BsonType[];
