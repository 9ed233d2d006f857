import type { Document } from 'mongodb';
import { driver } from './driver.js';

/** All values at a path of a decoded document: `a.b`, `orders[].total`, `tiers.*.id`; arrays on the way are gone through. */
export function valuesAt(document: unknown, path: string): unknown[] {
  let values: unknown[] = [document];
  for (const part of path.split('.')) {
    const name = part.replace(/(\[[^\]]*\])+$/, '');
    values = values.flatMap((value) => childrenOf(value, name));
    if (part !== name) values = values.flatMap((value) => (Array.isArray(value) ? value : [value]));
  }
  return values;
}

function childrenOf(value: unknown, name: string): unknown[] {
  if (Array.isArray(value)) return value.flatMap((element) => childrenOf(element, name));
  if (typeof value !== 'object' || value === null || '_bsontype' in value) return [];
  if (name === '*') return Object.values(value);
  return Object.hasOwn(value, name) ? [(value as Document)[name]] : [];
}

/** The path as a query has it: MongoDB goes through arrays by itself. */
export function queryPath(path: string): string {
  return path.replace(/\[[^\]]*\]/g, '');
}

/** Equal for values that MongoDB takes for equal: numbers of every type meet. */
export function comparable(value: unknown): string {
  if (typeof value === 'number') return `n${value}`;
  const type = (value as { _bsontype?: string } | null)?._bsontype;
  if (type === 'Int32' || type === 'Double' || type === 'Long' || type === 'Decimal128') {
    const text = String(type === 'Decimal128' ? value : ((value as { value?: number }).value ?? value));
    return `n${Number.isSafeInteger(Number(text)) ? Number(text) : text}`;
  }
  return driver().BSON.EJSON.stringify(value, { relaxed: false });
}
