import type { Collection } from 'mongodb';
import type { JobKeys } from '../anonymize/keys.js';
import type { TableName } from '../plan/catalog.js';
import type { DocumentReference } from '../plan/documents/types.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import type { Connection } from './connection.js';
import { prepareDocuments } from './documents/compile.js';
import { ownerOf } from './fence.js';
import { idOf, idText, idValue } from './ids.js';
import { renamedBy } from './ledger/runs.js';
import { sealKey } from './ledger/seals.js';
import { type Ledger, ledgerOf } from './ledger/store.js';
import { summarize, WAITING } from './ledger/summary.js';
import { target, whereOf } from './load/context.js';
import { chunksOf } from './load/read.js';
import { type Compared, type Recognizer, recognizerOf } from './recognize.js';
import { type Followed, followReferences } from './references.js';

/** What a finished run came to, collection by collection. */
export interface CollectionFacts {
  /** Plan id. */
  readonly table: number;
  readonly owned: boolean;
  /** Partitions and batches that are not done. */
  readonly unfinished: number;
  /** Documents by the ledger, and as counted. */
  readonly written: number;
  readonly found: number;
  readonly quarantined: number;
  /** Outputs that equal their own input, by path. */
  readonly leaks: Readonly<Record<string, number>>;
  /** Documents that were transformed again, and those of them that are not there with the same bytes. */
  readonly again: {
    readonly seen: number;
    readonly different: number;
    /** Sealed values that were opened on both sides and are the same. */
    readonly opened: number;
  };
}

export interface ReferenceFacts {
  readonly reference: DocumentReference;
  readonly destination: Followed;
  /** Looked at only where the destination has some that lead nowhere. */
  readonly source?: Followed;
}

export interface DocumentFacts {
  readonly collections: readonly CollectionFacts[];
  readonly references: readonly ReferenceFacts[];
}

export interface ValidationTask {
  readonly run: string;
  readonly plan: Plan;
  readonly keys: JobKeys;
  /** Documents a collection that are transformed again, and that are looked at for references. */
  readonly again: number;
  readonly followed: number;
}

/** Counts what was loaded, follows references, and transforms a sample again. Only reads. */
export async function readFacts(
  task: ValidationTask,
  source: Connection,
  destination: Connection,
): Promise<DocumentFacts> {
  const { plan, run } = task;
  const renamed = await renamedBy(ledgerOf(destination), run);
  const written = (table: TablePlan) => target(run, plan.mode, table, renamed);
  const collections: CollectionFacts[] = [];
  for (const table of plan.tables) {
    collections.push(await collectionFacts(task, table, written(table), source, destination));
  }
  const references: ReferenceFacts[] = [];
  const byId = new Map(plan.tables.map((table) => [table.id, table]));
  for (const reference of plan.documents?.references ?? []) {
    const [child, parent] = [byId.get(reference.from.table)!, byId.get(reference.to.table)!];
    const copied = await followReferences(
      destination,
      { ...written(child), path: reference.from.path },
      { ...written(parent), path: reference.to.path },
      task.followed,
    );
    const before =
      copied.dangling === 0
        ? undefined
        : await followReferences(
            source,
            { ...child.source, path: reference.from.path },
            { ...parent.source, path: reference.to.path },
            task.followed,
          );
    references.push({ reference, destination: copied, ...(before && { source: before }) });
  }
  return { collections, references };
}

async function collectionFacts(
  { run, keys, again }: ValidationTask,
  table: TablePlan,
  { schema, name }: TableName,
  source: Connection,
  destination: Connection,
): Promise<CollectionFacts> {
  const ledger = ledgerOf(destination);
  const [summary] = await summarize(ledger, run, table.id);
  const collection = destination.client.db(schema).collection(name);
  const open = await ledger.batches.countDocuments({ run, table: table.id, state: { $ne: 'committed' } });
  return {
    table: table.id,
    owned: (await ownerOf(ledger, table.destination)) === run,
    unfinished: (summary?.partitions ?? 0) - (summary?.partitionsDone ?? 0) + open,
    written: summary?.rows ?? 0,
    found: await collection.countDocuments({}),
    quarantined: summary?.quarantined ?? 0,
    leaks: summary?.leaks ?? {},
    again: await transformAgain({ run, keys, again }, table, collection, { source, ledger }),
  };
}

async function transformAgain(
  { run, keys, again }: Pick<ValidationTask, 'run' | 'keys' | 'again'>,
  table: TablePlan,
  collection: Collection,
  { source, ledger }: { readonly source: Connection; readonly ledger: Ledger },
): Promise<CollectionFacts['again']> {
  const { rules, where } = table.collection!;
  const recognizer = await recognizerOf(rules, keys);
  if (again === 0) return { seen: 0, different: 0, opened: 0 };
  const transform = await prepareDocuments(rules, keys);
  const quarantined = await ledger.quarantine
    .find({ run, table: table.id, ...WAITING }, { projection: { keyHash: 1 } })
    .toArray();
  const hashes = new Set(quarantined.map(({ keyHash }) => keyHash));
  const cursor = source.client
    .db(table.source.schema)
    .collection(table.source.name)
    .find(where === undefined ? {} : whereOf(where), { raw: true })
    .limit(again);
  let [seen, different, opened] = [0, 0, 0];
  for await (const documents of chunksOf(cursor)) {
    const arrived = documents.filter(
      (document) => !hashes.has(sealKey(keys, { run, table: table.id }, idOf(document)).keyHash),
    );
    const outputs = transform.apply(arrived).documents.filter((output) => output !== null);
    seen += outputs.length;
    const compared = await compare(outputs, collection, recognizer);
    different += outputs.length - compared.filter(({ same }) => same).length;
    opened += compared.reduce((sum, one) => sum + one.opened, 0);
  }
  return { seen, different, opened };
}

/** Compares documents with those of a collection that have their `_id`s. */
async function compare(
  outputs: readonly Uint8Array[],
  collection: Collection,
  recognizer: Recognizer,
): Promise<Compared[]> {
  const ids = outputs.flatMap((output) => idOf(output) ?? []);
  const found = collection.find({ _id: { $in: ids.map(idValue) } } as object, { raw: true });
  const compared: Compared[] = [];
  const expected = new Map(outputs.map((output) => [idText(idOf(output)!), output]));
  for await (const chunk of chunksOf(found)) {
    const pairs = chunk.flatMap((there) => {
      const made = expected.get(idText(idOf(there)!));
      return made ? [{ made, there }] : [];
    });
    compared.push(...recognizer.compare(pairs));
  }
  return compared;
}
