import type { Collection, Db, Document, Filter } from 'mongodb';
import type { JobKeys } from '../../anonymize/keys.js';
import { LetheError } from '../../errors/errors.js';
import type { TableName } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import type { Connection } from '../connection.js';
import type { DocumentTransform } from '../documents/types.js';
import { driver } from '../driver.js';
import type { Ledger } from '../ledger/store.js';
import type { Pushdown } from '../pushdown/compile.js';
import { type IdRange, rangeFilter } from '../ranges.js';
import type { DocumentsProgress, DocumentsTask } from './task.js';

/** A collection as a thread loads it. */
export interface CollectionContext {
  readonly task: Pick<DocumentsTask, 'run' | 'mode' | 'execution' | 'documents'>;
  readonly table: TablePlan;
  readonly keys: JobKeys;
  readonly ledger: Ledger;
  readonly source: Connection;
  readonly destination: Connection;
  readonly transform: DocumentTransform;
  /** What the server does in the transform's place, where the job says so. */
  readonly pushdown?: Pushdown;
  readonly progress: (progress: DocumentsProgress) => void;
  readonly signal: AbortSignal;
}

/**
 * Where a run writes a collection: `replace` into one of its own, which takes the place of the old one when the run is
 * complete, so that a late write of a run that is over lands nowhere that counts.
 *
 * @param renamed Plan ids of collections that took the place of the old ones: a replay finds them there.
 */
export function target(
  run: string,
  mode: 'replace' | 'upsert',
  table: TablePlan,
  renamed: readonly number[] = [],
): TableName {
  if (mode === 'upsert' || renamed.includes(table.id)) return table.destination;
  return { schema: table.destination.schema, name: `lethe.${run}.${table.id}` };
}

export function targetOf(context: CollectionContext): { db: Db; collection: string } {
  const { schema, name } = target(context.task.run, context.task.mode, context.table);
  return { db: context.destination.client.db(schema), collection: name };
}

/** @throws LetheError `RunEnded` once the work was stopped: a driver would else connect again. */
export function refuseStopped({ signal }: CollectionContext): void {
  if (signal.aborted)
    throw new LetheError('RunEnded', 'It was cancelled; batches that were not committed are done again.');
}

export function sourceOf({ source, table }: Pick<CollectionContext, 'source' | 'table'>): Collection {
  return source.client.db(table.source.schema).collection(table.source.name);
}

/** The documents of a range that the job selects. */
export function selection(table: TablePlan, range: IdRange): Filter<Document> {
  const where = table.collection?.where;
  const inRange = rangeFilter(range);
  if (where === undefined) return inRange;
  return { $and: [inRange, whereOf(where)] };
}

/** A filter of the job file. */
export function whereOf(text: string): Filter<Document> {
  return driver().BSON.EJSON.parse(text, { relaxed: false }) as Filter<Document>;
}
