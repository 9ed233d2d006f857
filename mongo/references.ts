import type { Document } from 'mongodb';
import type { TableName } from '../plan/catalog.js';
import type { Connection } from './connection.js';
import { driver } from './driver.js';
import { EXACT } from './ids.js';
import { comparable, queryPath, valuesAt } from './paths.js';

/** A path of a collection. */
export interface Place extends TableName {
  readonly path: string;
}

/** References that were followed, and how many of them lead to no document. */
export interface Followed {
  readonly seen: number;
  readonly dangling: number;
}

/** Values that are looked up at once. */
const AT_ONCE = 2_000;

/** Looks the references of up to `rows` documents up. */
export async function followReferences(
  { client }: Connection,
  from: Place,
  to: Place,
  rows: number,
): Promise<Followed> {
  const parents = client.db(to.schema).collection(to.name);
  const path = queryPath(to.path);
  let [seen, dangling] = [0, 0];
  let waiting: unknown[] = [];
  const lookUp = async () => {
    const distinct = new Map(waiting.map((value) => [comparable(value), value]));
    const found = new Set<string>();
    const cursor = parents.find({ [path]: { $in: [...distinct.values()] } } as Document, {
      projection: { _id: 0, [path]: 1 },
      ...EXACT,
    });
    for await (const parent of cursor)
      for (const value of valuesAt(parent, to.path)) found.add(comparable(value));
    seen += waiting.length;
    dangling += waiting.filter((value) => !found.has(comparable(value))).length;
    waiting = [];
  };
  const children = client
    .db(from.schema)
    .collection(from.name)
    .find({}, { projection: { [queryPath(from.path).split('.')[0]!]: 1 }, raw: true, batchSize: 1_000 });
  const limited = Number.isFinite(rows) ? children.limit(Math.max(1, rows)) : children;
  for await (const raw of limited as unknown as AsyncIterable<Uint8Array>) {
    const child = driver().BSON.deserialize(raw, EXACT);
    waiting.push(...valuesAt(child, from.path).filter((value) => value !== null && value !== undefined));
    if (waiting.length >= AT_ONCE) await lookUp();
  }
  if (waiting.length > 0) await lookUp();
  return { seen, dangling };
}
