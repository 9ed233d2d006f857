import { isRecord, type Reading } from './rules.js';
import type { Path } from './source.js';

/** What both ends of a job speak. */
export type Engine = 'postgres' | 'mongo';

/** A job is over MongoDB as soon as one of its ends is. */
export function engineOf(raw: Record<string, unknown>): Engine {
  const sides = [raw.source, raw.destination].map((side) => (isRecord(side) ? side : {}));
  return sides.some(({ mongodb }) => mongodb !== undefined) ? 'mongo' : 'postgres';
}

/** What only the other engine has, with what to do instead. */
const ONLY_POSTGRES: readonly (readonly [Path, string])[] = [
  [['source', 'postgres'], 'one end of this job is MongoDB: both ends speak the same, so name it by mongodb'],
  [
    ['destination', 'postgres'],
    'one end of this job is MongoDB: both ends speak the same, so name it by mongodb',
  ],
  [['source', 'encoding'], 'text in MongoDB is UTF-8: leave this out'],
  [['destination', 'schemas'], 'MongoDB has databases: write databases'],
  [['destination', 'createSchema'], 'collections are made with their options and indexes: leave this out'],
  [['destination', 'deleteMissing'], 'upsert on MongoDB does not follow deletions yet: use mode: replace'],
  [['rules'], 'rules match columns of tables; on MongoDB decide fields under collections'],
  [['tables'], 'MongoDB has collections: write collections'],
];
const ONLY_MONGO: readonly (readonly [Path, string])[] = [
  [['destination', 'databases'], 'databases are of MongoDB: write schemas'],
  [['collections'], 'collections are of MongoDB: write tables, or name source and destination by mongodb'],
];

/** Notes every setting that the job's engine does not have. */
export function refuseForeign(raw: Record<string, unknown>, engine: Engine, reading: Reading): void {
  for (const [path, message] of engine === 'mongo' ? ONLY_POSTGRES : ONLY_MONGO) {
    let value: unknown = raw;
    for (const step of path) value = isRecord(value) ? value[step] : undefined;
    if (value !== undefined) reading.mistake(path, message, 'key');
  }
  const collections = Object.values(isRecord(raw.collections) ? raw.collections : {});
  const pushed = collections.some((collection) => isRecord(collection) && collection.pushdown === true);
  if (engine === 'mongo' && raw.evidence === 'row' && pushed) {
    reading.mistake(
      ['evidence'],
      'what is pushed down is seen by no worker, so there are no digests of its documents: write batch, or leave pushdown out',
      'key',
    );
  }
}
